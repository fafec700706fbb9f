"""Launch templates: kept and shown.  Nothing is started from them: hosts join an installation."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from openecs.api.ec2 import tags as tagging
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.errors import bad_value, invalid_combination, missing
from openecs.api.ec2.filters import Field, Fields, matching, one
from openecs.api.ec2.resources import LAUNCH_TEMPLATE, new_id
from openecs.api.ec2.unserved import refuse_set
from openecs.errors import AWSError
from openecs.model.vpc_extras import LaunchTemplate, LaunchTemplateVersion
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.xml_writer import iso_timestamp

_FIELDS: Fields[LaunchTemplate] = {
    "create-time": lambda t: one(iso_timestamp(t.created_at)),
    "launch-template-name": lambda t: one(t.name),
}


class LaunchTemplates:
    """The operations on launch templates."""

    def __init__(self, state: State, describer: Describer) -> None:
        self._state = state
        self._describer = describer

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateLaunchTemplate": self.create,
            "DescribeLaunchTemplates": self.describe,
            "DescribeLaunchTemplateVersions": self.describe_versions,
            "DeleteLaunchTemplate": self.delete,
        }

    def create(self, call: Call, request: ec2.CreateLaunchTemplateRequest) -> ec2.CreateLaunchTemplateResult:
        """Keep a template with its first version."""
        refuse_set(request, "operator")
        tags = tagging.at_creation(request.tag_specifications, LAUNCH_TEMPLATE)
        for known in self._state.launch_templates.by("region", call.region):
            if known.name == request.launch_template_name:
                if request.client_token is not None and known.client_token == request.client_token:
                    return ec2.CreateLaunchTemplateResult(launch_template=self._shown(known))
                text = "Launch template name already in use."
                raise AWSError("InvalidLaunchTemplateName.AlreadyExistsException", text)
        version = LaunchTemplateVersion(
            number=1,
            created_at=call.now,
            created_by=call.principal.arn,
            description=request.version_description,
            data=request.launch_template_data,
        )
        template = LaunchTemplate(
            id=new_id(LAUNCH_TEMPLATE.prefix, call.ids),
            region=call.region,
            name=request.launch_template_name,
            created_at=call.now,
            created_by=call.principal.arn,
            versions=(version,),
            client_token=request.client_token,
        )
        with self._state.transaction() as tx:
            tx.put(template)
            tagging.give(tx, self._state, template.id, tags.get(LAUNCH_TEMPLATE.resource_type, ()))
        return ec2.CreateLaunchTemplateResult(launch_template=self._shown(template))

    def describe(self, call: Call, request: ec2.DescribeLaunchTemplatesRequest) -> ec2.DescribeLaunchTemplatesResult:
        """The region's templates."""
        ids = [self._find(call, None, name).id for name in request.launch_template_names or ()]
        page, token = self._describer.select(
            call,
            LAUNCH_TEMPLATE,
            self._state.launch_templates.by("region", call.region),
            _FIELDS,
            ids=(*(request.launch_template_ids or ()), *ids),
            filters=request.filters,
            max_results=request.max_results,
            next_token=request.next_token,
        )
        return ec2.DescribeLaunchTemplatesResult(launch_templates=tuple(map(self._shown, page)), next_token=token)

    def describe_versions(
        self, call: Call, request: ec2.DescribeLaunchTemplateVersionsRequest
    ) -> ec2.DescribeLaunchTemplateVersionsResult:
        """The versions of one template, the newest first, or ``$Latest`` and ``$Default`` of all."""
        wanted = request.versions or ()
        if request.launch_template_id or request.launch_template_name:
            template = self._find(call, request.launch_template_id, request.launch_template_name)
            chosen = [(template, version) for version in _versions(template, request)]
        else:
            if not wanted or any(each not in ("$Latest", "$Default") for each in wanted):
                raise missing("LaunchTemplateId")
            templates = self._state.launch_templates.by("region", call.region)
            chosen = [(t, version) for t in templates for version in _versions(t, request)]
        found = matching(chosen, request.filters, _VERSION_FIELDS, lambda _: ())
        page, token = self._describer.page(
            call,
            found,
            key=lambda pair: (pair[0].id, -pair[1].number),
            scope=(request.launch_template_id, request.launch_template_name, wanted, request.filters),
            max_results=request.max_results,
            next_token=request.next_token,
        )
        shown = tuple(_shown_version(template, version) for template, version in page)
        return ec2.DescribeLaunchTemplateVersionsResult(launch_template_versions=shown, next_token=token)

    def delete(self, call: Call, request: ec2.DeleteLaunchTemplateRequest) -> ec2.DeleteLaunchTemplateResult:
        """Delete a template with all its versions."""
        template = self._find(call, request.launch_template_id, request.launch_template_name)
        shown = self._shown(template)
        with self._state.transaction() as tx:
            tx.delete(template)
            tagging.forget(tx, self._state, template.id)
        return ec2.DeleteLaunchTemplateResult(launch_template=shown)

    def _find(self, call: Call, template_id: str | None, name: str | None) -> LaunchTemplate:
        if template_id and name:
            raise invalid_combination("Specify either the launch template ID or the launch template name.")
        if template_id:
            found: LaunchTemplate = LAUNCH_TEMPLATE.find(self._state, call.region, template_id)
            return found
        if not name:
            raise missing("LaunchTemplateId")
        for template in self._state.launch_templates.by("region", call.region):
            if template.name == name:
                return template
        text = f"The specified launch template, with template name {name[:128]}, does not exist."
        raise AWSError("InvalidLaunchTemplateName.NotFoundException", text)

    def _shown(self, template: LaunchTemplate) -> ec2.LaunchTemplate:
        return ec2.LaunchTemplate(
            launch_template_id=template.id,
            launch_template_name=template.name,
            create_time=template.created_at,
            created_by=template.created_by,
            default_version_number=template.default_version,
            latest_version_number=template.versions[-1].number,
            tags=tagging.shown(self._state, template.id),
        )


def _versions(
    template: LaunchTemplate, request: ec2.DescribeLaunchTemplateVersionsRequest
) -> list[LaunchTemplateVersion]:
    by_number = {version.number: version for version in template.versions}
    if request.versions:
        numbers = [_number(template, each) for each in request.versions]
    else:
        low, high = _bound(request.min_version, "minVersion"), _bound(request.max_version, "maxVersion")
        numbers = [n for n in by_number if (low is None or n >= low) and (high is None or n <= high)]
    for number in numbers:
        if number not in by_number:
            text = f"Could not find launch template version {number} for launch template {template.id}"
            raise AWSError("InvalidLaunchTemplateId.VersionNotFound", text)
    return [by_number[number] for number in dict.fromkeys(numbers)]


def _number(template: LaunchTemplate, version: str) -> int:
    if version == "$Latest":
        return template.versions[-1].number
    if version == "$Default":
        return template.default_version
    return _whole(version, "launchTemplateVersion")


def _bound(text: str | None, member: str) -> int | None:
    return None if text is None else _whole(text, member)


def _whole(text: str, member: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
        raise bad_value(text, member, "Expected the number of a version.")
    return int(text)


def _shown_version(template: LaunchTemplate, version: LaunchTemplateVersion) -> ec2.LaunchTemplateVersion:
    data = None
    if version.data is not None:
        # Requests and replies spell the same members alike, in shapes of different names.
        data = msgspec.convert(msgspec.to_builtins(version.data), ec2.ResponseLaunchTemplateData)
    return ec2.LaunchTemplateVersion(
        launch_template_id=template.id,
        launch_template_name=template.name,
        version_number=version.number,
        version_description=version.description,
        create_time=version.created_at,
        created_by=version.created_by,
        default_version=version.number == template.default_version,
        launch_template_data=data,
    )


_Version = tuple[LaunchTemplate, LaunchTemplateVersion]


def _within(*path: str) -> Field[_Version]:
    """The values that a version's data has under a path of attributes, lists looked through."""

    def texts(version: _Version) -> list[str | None]:
        found: list[Any] = [version[1].data]
        for attribute in path:
            inner = [getattr(each, attribute) for each in found if each is not None]
            found = [item for each in inner for item in (each if isinstance(each, tuple) else (each,))]
        return [text for each in found for text in one(each)]

    return texts


_VERSION_FIELDS: Fields[_Version] = {
    "create-time": lambda v: one(iso_timestamp(v[1].created_at)),
    "ebs-optimized": _within("ebs_optimized"),
    "host-resource-group-arn": _within("placement", "host_resource_group_arn"),
    "http-endpoint": _within("metadata_options", "http_endpoint"),
    # The model has no setting of that name in templates.
    "http-protocol-ipv4": lambda _: (),
    "http-tokens": _within("metadata_options", "http_tokens"),
    "iam-instance-profile": _within("iam_instance_profile", "arn"),
    "image-id": _within("image_id"),
    "instance-type": _within("instance_type"),
    "is-default-version": lambda v: one(v[1].number == v[0].default_version),
    "kernel-id": _within("kernel_id"),
    "license-configuration-arn": _within("license_specifications", "license_configuration_arn"),
    "network-card-index": _within("network_interfaces", "network_card_index"),
    "ram-disk-id": _within("ram_disk_id"),
}

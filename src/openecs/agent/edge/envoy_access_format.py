"""What Envoy writes for each request, for ``access_lines`` to make AWS's log lines of.  Pure.

One JSON object per line; a field without a value is missing or null.
"""

from __future__ import annotations

from typing import Any

from openecs.acs.host_documents import BalancerListener
from openecs.agent.edge.envoy_resources import Resource

#: Name of a field → Envoy's format; ``listener`` is the listener's ARN.
FIELDS: dict[str, str] = {
    "start": "%START_TIME(%s.%6f)%",
    "duration_us": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
    "request_us": "%COMMON_DURATION(DS_RX_BEG:US_TX_BEG:us)%",
    "target_us": "%COMMON_DURATION(US_TX_BEG:US_RX_BEG:us)%",
    "response_us": "%COMMON_DURATION(US_RX_BEG:DS_TX_END:us)%",
    "client": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "local": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "target": "%UPSTREAM_REMOTE_ADDRESS%",
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "received": "%BYTES_RECEIVED%",
    "received_headers": "%DOWNSTREAM_HEADER_BYTES_RECEIVED%",
    "sent": "%BYTES_SENT%",
    "sent_headers": "%DOWNSTREAM_HEADER_BYTES_SENT%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "host": "%REQ(:AUTHORITY)%",
    "agent": "%REQ(USER-AGENT)%",
    "upgrade": "%REQ(UPGRADE)%",
    "content_type": "%REQ(CONTENT-TYPE)%",
    "trace": "%REQ(X-AMZN-TRACE-ID)%",
    "tls_cipher": "%DOWNSTREAM_TLS_CIPHER%",
    "tls_version": "%DOWNSTREAM_TLS_VERSION%",
    "sni": "%REQUESTED_SERVER_NAME%",
    "rule": "%ROUTE_NAME%",
    "location": "%RESP(LOCATION)%",
}


def access_log(path: str, listener: BalancerListener) -> Resource:
    """The log of a listener, appended to ``path``."""
    form: dict[str, Any] = {**FIELDS, "listener": listener.arn.replace("%", "%%")}
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"json_format": form, "omit_empty_values": True},
        },
    }

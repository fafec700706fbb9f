"""What Envoy writes for each request or connection, for ``access_lines`` to make AWS's log lines of.  Pure.

One JSON object per line; a field without a value is missing.
"""

from __future__ import annotations

from typing import Any

from openecs.acs.host_documents import BalancerListener
from openecs.agent.edge.envoy_resources import Resource, file_logger

#: Names of routes are a rule's priority and what it does, with this between.
ROUTE_SEPARATOR = " "

_EVERY = {
    "start": "%START_TIME(%s.%6f)%",
    "client": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "local": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "received": "%BYTES_RECEIVED%",
    "sent": "%BYTES_SENT%",
    "tls_cipher": "%DOWNSTREAM_TLS_CIPHER%",
    "tls_version": "%DOWNSTREAM_TLS_VERSION%",
    "sni": "%REQUESTED_SERVER_NAME%",
    "connection": "%CONNECTION_ID%",
}
_REQUEST = {
    **_EVERY,
    "target": "%UPSTREAM_REMOTE_ADDRESS%",
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "duration_us": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
    "request_us": "%COMMON_DURATION(DS_RX_BEG:US_TX_BEG:us)%",
    "target_us": "%COMMON_DURATION(US_TX_BEG:US_RX_BEG:us)%",
    "response_us": "%COMMON_DURATION(US_RX_BEG:DS_TX_BEG:us)%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "received_headers": "%DOWNSTREAM_HEADER_BYTES_RECEIVED%",
    "sent_headers": "%DOWNSTREAM_HEADER_BYTES_SENT%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(:PATH)%",
    "original_path": "%DYNAMIC_METADATA(openecs:original_path)%",
    "protocol": "%PROTOCOL%",
    "host": "%REQ(:AUTHORITY)%",
    "agent": "%REQ(USER-AGENT)%",
    "upgrade": "%REQ(UPGRADE)%",
    "content_type": "%REQ(CONTENT-TYPE)%",
    "trace": "%REQ(X-AMZN-TRACE-ID)%",
    "rule": "%ROUTE_NAME%",
    "location": "%RESP(LOCATION)%",
}
_STREAM = {**_EVERY, "connection_ms": "%DURATION%"}


def access_log(path: str, folder: str, listener: BalancerListener) -> Resource:
    """The log of a listener, appended to ``path``; ``folder`` is where its lines are to be kept."""
    form: dict[str, Any] = {
        **(_REQUEST if listener.protocol in {"HTTP", "HTTPS"} else _STREAM),
        "listener": listener.arn.replace("%", "%%"),
        "folder": folder.replace("%", "%%"),
        "port": listener.port,
        "certificates": " ".join(listener.certificates).replace("%", "%%"),
    }
    if len(listener.certificates) > 1:
        form["names"] = "%DOWNSTREAM_LOCAL_DNS_SAN%"
    return file_logger(path, {"json_format": form, "omit_empty_values": True})

"""The little that Envoy has no setting for, as scripts that it runs per request.  Pure.

Nothing of users becomes part of a script: names come in as context of the route.
"""

from __future__ import annotations

from openecs.agent.edge.envoy_resources import Resource

_KIND = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
_ROUTE_KIND = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute"

#: Every request gets X-Amzn-Trace-Id; one that has it gets a Self part, as on AWS.  This runs for
#: each request: its random part is made once per second, and only counted on in between.
_TRACE = """
local seed = tonumber(string.match(tostring({}), "0x(%x+)") or "1", 16) or 1
math.randomseed(os.time() + seed % 2147483647)
local random, format, time = math.random, string.format, os.time
local hex = {}
for number = 0, 255 do hex[number] = format("%02x", number) end
local prefix, second, high, low = "", 0, 0, 255
local function id()
  low = low + 1
  if low == 256 then low, high = 0, (high + 1) % 256 end
  local now = time()
  if now ~= second or (low == 0 and high == 0) then
    second = now
    prefix = format("1-%08x-%08x%08x%04x", now, random(0, 4294967295), random(0, 4294967295), random(0, 65535))
  end
  return prefix .. hex[high] .. hex[low]
end
function envoy_on_request(handle)
  local headers = handle:headers()
  local old = headers:get("x-amzn-trace-id")
  if old == nil then
    headers:add("x-amzn-trace-id", "Root=" .. id())
  elseif string.find(old, "Root=", 1, true) then
    headers:replace("x-amzn-trace-id", "Self=" .. id() .. ";" .. old)
  else
    headers:replace("x-amzn-trace-id", "Root=" .. id() .. ";" .. old)
  end
end
"""

#: A client is kept with its target only while the application's own cookie is there.
_APP_COOKIE = """
local function cookies(headers)
  local own = headers:get("cookie")
  return own and ("; " .. own) or ""
end
function envoy_on_request(handle)
  local name = handle:filterContext():get("cookie")
  if name == nil then return end
  local headers = handle:headers()
  local have = cookies(headers)
  if not string.find(have, "; " .. name .. "=", 1, true) and string.find(have, "; AWSALBAPP-0=", 1, true) then
    local kept = string.gsub(have, "; AWSALBAPP%-0=[^;]*", "")
    headers:remove("cookie")
    if #kept > 2 then headers:add("cookie", string.sub(kept, 3)) end
  end
end
function envoy_on_response(handle)
  local name = handle:filterContext():get("cookie")
  if name == nil then return end
  local headers = handle:headers()
  local set, sent = {}, false
  for key, value in pairs(headers) do
    if key == "set-cookie" then
      table.insert(set, value)
      if string.sub(value, 1, #name + 1) == name .. "=" then sent = true end
    end
  end
  if sent then return end
  headers:remove("set-cookie")
  for _, value in ipairs(set) do
    if string.sub(value, 1, 12) ~= "AWSALBAPP-0=" then headers:add("set-cookie", value) end
  end
end
"""

#: A rewritten URL has its own query string, so the whole of it is put in place of the old one.
_REWRITE_URL = """
function envoy_on_request(handle)
  local found = handle:streamInfo():dynamicMetadata():get("openecs")
  if found == nil or found["path"] == nil then return end
  local headers = handle:headers()
  handle:streamInfo():dynamicMetadata():set("openecs", "original_path", headers:get(":path"))
  headers:replace(":path", found["path"])
end
"""

TRACE_FILTER = "openecs.trace_id"
APP_COOKIE_FILTER = "openecs.app_cookie"


def trace_filter() -> Resource:
    """The filter that gives requests their trace id."""
    return _filter(TRACE_FILTER, _TRACE)


def rewrite_url_filter() -> Resource:
    """The filter that puts a rewritten URL, kept in the request's metadata, in its place."""
    return _filter("openecs.rewrite_url", _REWRITE_URL)


def app_cookie_filter() -> Resource:
    """The filter for application cookies; off but for routes that turn it on."""
    return {**_filter(APP_COOKIE_FILTER, _APP_COOKIE), "disabled": True}


def app_cookie_route(cookie: str) -> Resource:
    """Turn it on for a route, with the name of the application's cookie."""
    return {"@type": _ROUTE_KIND, "filter_context": {"cookie": cookie}}


def _filter(name: str, script: str) -> Resource:
    return {
        "name": name,
        "typed_config": {"@type": _KIND, "default_source_code": {"inline_string": script}},
    }

-- Admission at the edge, after authentication and before the rate limit. For each request it reads the model and the
-- output tokens asked for, refuses a model that the tenant may not use (403), reserves the request's upper bound
-- of tokens in the tenant's budget, and names the model in a header for the route behind.
--
-- A header that this script sets is also a promise to the frontend: it refuses a body that asks for more output
-- tokens than `x-llmops-max-tokens` says were paid for. So a body that this scanner and a JSON parser read
-- differently (escaped keys, say) cannot escape the budget.
--
-- A script that fails lets the request go on. Then the model's header is missing, and behind the public listener
-- nothing takes a request without it.
--
-- Context (EnvoyExtensionPolicy.filterContext): tenants = {name = {model = true}},
-- models = {name = most output tokens of one request}, order = "names, sorted", default_max_tokens, bytes_per_token.

local WANTED = { model = true, max_tokens = true, max_completion_tokens = true }

local function refusal(message, kind, code, param)
  return string.format(
    '{"error":{"message":"%s","type":"%s","param":%s,"code":"%s"}}',
    message, kind, param and ('"' .. param .. '"') or "null", code
  )
end

local function refuse(handle, status, message, kind, code, param)
  handle:respond(
    { [":status"] = status, ["content-type"] = "application/json" },
    refusal(message, kind, code, param)
  )
end

-- The position behind the string that opens at `open`, or nil when it never closes.
local function after_string(body, open)
  local close = open
  while true do
    close = string.find(body, '"', close + 1, true)
    if not close then return nil end
    local slashes = 0
    while string.byte(body, close - 1 - slashes) == 92 do slashes = slashes + 1 end
    if slashes % 2 == 0 then return close + 1 end
  end
end

-- The wanted members of the body's own object. Strings and nested values are stepped over, so nothing inside a
-- prompt or a tool's schema counts. As in every JSON parser, the last of several equal keys wins.
local function members(body)
  local found, depth, at = {}, 0, 1
  while true do
    local start, _, mark = string.find(body, '(["{}%[%]])', at)
    if not start then return found end
    at = start + 1
    if mark == "{" or mark == "[" then
      depth = depth + 1
    elseif mark == "}" or mark == "]" then
      depth = depth - 1
    else
      local behind = after_string(body, start)
      if not behind then return found end
      at = behind
      if depth == 1 then
        local name = string.sub(body, start + 1, behind - 2)
        local _, colon = string.find(body, "^%s*:%s*", behind)
        if colon and WANTED[name] then
          at = colon + 1
          found[name] = string.match(body, '^"([^"\\]*)"', at) or tonumber(string.match(body, "^[%d.eE+-]+", at) or "")
        end
      end
    end
  end
end

local function models_of(context, tenant)
  local listed = {}
  local allowed = (context:get("tenants") or {})[tenant] or {}
  for name in string.gmatch(context:get("order") or "", "[^,]+") do
    if allowed[name] then
      listed[#listed + 1] = string.format('{"id":"%s","object":"model","created":0,"owned_by":"llmops"}', name)
    end
  end
  return listed
end

local function list_models(handle, context, tenant, path)
  local listed, wanted = models_of(context, tenant), string.match(path, "^/v1/models/([^?]+)")
  local answer = '{"object":"list","data":[' .. table.concat(listed, ",") .. "]}"
  if wanted then
    answer = nil
    for _, entry in ipairs(listed) do
      if string.find(entry, '"id":"' .. wanted .. '"', 1, true) then answer = entry end
    end
    if not answer then
      return refuse(handle, "404", "There is no such model for this key.", "invalid_request_error", "model_not_found", "model")
    end
  end
  handle:respond({ [":status"] = "200", ["content-type"] = "application/json" }, answer)
end

function envoy_on_request(handle)
  local context, headers = handle:filterContext(), handle:headers()
  -- Set by the JWT filter alone: clients' own was removed at the door. The limits behind count by one header.
  local of_token = headers:get("x-llmops-token-tenant")
  if of_token then headers:replace("x-client-id", of_token) end
  local tenant, path = headers:get("x-client-id") or "", headers:get(":path") or ""
  if headers:get(":method") == "GET" and string.find(path, "^/v1/models") then
    return list_models(handle, context, tenant, path)
  end
  local buffer = handle:body()
  local body = buffer and buffer:getBytes(0, buffer:length()) or ""
  -- Waiting for the body ends the life of what Envoy handed out before.
  context, headers = handle:filterContext(), handle:headers()
  local asked = members(body)
  local model = asked.model
  if type(model) ~= "string" or model == "" then
    return refuse(handle, "400", "The body must be a JSON object that names a model.", "invalid_request_error", "missing_model", "model")
  end
  local most = (context:get("models") or {})[model]
  if not most then
    return refuse(handle, "404", "The model does not exist.", "invalid_request_error", "model_not_found", "model")
  end
  if not ((context:get("tenants") or {})[tenant] or {})[model] then
    return refuse(handle, "403", "This key may not use the model.", "permission_error", "model_not_allowed", "model")
  end
  local output = asked.max_completion_tokens or asked.max_tokens
  if type(output) ~= "number" or output < 1 or output ~= math.floor(output) then
    output = context:get("default_max_tokens")
  end
  output = math.min(output, most)
  handle:streamInfo():dynamicMetadata():set(
    "llmops", "reserved_tokens", output + math.ceil(#body / context:get("bytes_per_token"))
  )
  headers:replace("x-llmops-model", model)
  headers:replace("x-llmops-max-tokens", string.format("%d", output))
end

-- What Envoy itself answers gets OpenAI's error format too. The frontend's own errors are JSON already.
local ANSWERS = {
  ["400"] = { "The body is not a request of the OpenAI API: it needs a prompt (text) or messages.", "invalid_request_error", "invalid_body" },
  ["401"] = { "The API key is missing or wrong.", "invalid_request_error", "invalid_api_key" },
  ["413"] = { "The request body is too large.", "invalid_request_error", "request_too_large" },
  ["429"] = { "The rate limit of this key is reached; try again later.", "rate_limit_error", "rate_limit_exceeded" },
  ["500"] = { "The gateway failed to handle the request.", "server_error", "internal_error" },
  ["503"] = { "No replica of the model can take the request now.", "server_error", "overloaded" },
  ["504"] = { "The model did not answer in time.", "server_error", "timeout" },
}

function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get(":status")
  if status == "429" and not headers:get("retry-after") then
    headers:replace("retry-after", headers:get("x-ratelimit-reset") or "1")
  end
  local answer = ANSWERS[status]
  if answer and not string.find(headers:get("content-type") or "", "application/json", 1, true) then
    headers:replace("content-type", "application/json")
    local text = refusal(answer[1], answer[2], answer[3])
    handle:body(true):setBytes(text)
    headers:replace("content-length", tostring(#text))
  end
end

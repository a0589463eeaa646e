#pragma once

#include <string_view>

namespace linnet::session {

// What /v1 offers, as OpenAPI 3.0: served as it stands at /v1/openapi.json.
extern const std::string_view openapi_json;

}  // namespace linnet::session

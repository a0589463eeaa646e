#pragma once

#include "broker/core/delivery.hpp"
#include "broker/core/properties.hpp"
#include "broker/core/property_reader.hpp"
#include "broker/session/http_handler.hpp"

#include <optional>
#include <string>
#include <string_view>

// A message's properties as the fields of a request or an answer:
//
//     Content-Type, Content-Encoding, Message-Id, Correlation-Id, Reply-To, Type, App-Id   as they are
//     TTL          seconds, with a fraction if need be
//     Priority     0 to 255 (what else browsers put there is not meant for us)
//     Timestamp    seconds since 1970
//     X-H-<name>   a header of the application, a field each; more of one name are a list
//     traceparent, tracestate, ce-...   headers of these names

namespace linnet::session {

// Into `said`, whose other members stay; a complaint when a field makes no sense.
[[nodiscard]] std::optional<std::string> read_properties(const http::request& r, core::neutral_properties& said);

// Whatever protocol it came by, with what became of it (x-death).
[[nodiscard]] core::neutral_properties properties_of(const core::message& m, const core::property_reader* reader);

void append_properties(http_answer& to, const core::neutral_properties& p);
// The same as members of an object that is open: "content_type":"...", ... "headers":{...}, each with a comma before
// it.
void append_properties_json(std::string& out, const core::neutral_properties& p);

}  // namespace linnet::session

#include "clients/cli/message_json.hpp"

#include "protocol/amqp/properties_builder.hpp"
#include "protocol/amqp/table_builder.hpp"
#include "protocol/http/base64.hpp"
#include "protocol/wire/utf8.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace linnet::cli {
namespace {

using amqp::property;

constexpr std::array text_properties{
    std::pair{"content_type", property::content_type},
    std::pair{"content_encoding", property::content_encoding},
    std::pair{"correlation_id", property::correlation_id},
    std::pair{"reply_to", property::reply_to},
    std::pair{"expiration", property::expiration},
    std::pair{"message_id", property::message_id},
    std::pair{"type", property::type},
    std::pair{"user_id", property::user_id},
    std::pair{"app_id", property::app_id},
    std::pair{"cluster_id", property::cluster_id},
};

json_value json_of(const amqp::field_value& value);

json_value json_of(amqp::table_view table) {
    auto out = json_value::object();
    for (const auto& each : table) {
        out[std::string{each.name}] = json_of(each.value);
    }
    return out;
}

json_value json_of(const amqp::field_value& value) {
    if (const auto truth = value.as_bool()) {
        return *truth;
    }
    if (const auto number = value.as_int64()) {
        return *number;
    }
    if (const auto number = value.as_double()) {
        return *number;
    }
    if (const auto time = value.as_timestamp()) {
        return *time;
    }
    if (const auto text = value.as_string()) {
        return *text;
    }
    if (const auto table = value.as_table()) {
        return json_of(*table);
    }
    if (const auto array = value.as_array()) {
        auto out = json_value::array();
        for (const auto& each : *array) {
            out.push_back(json_of(each));
        }
        return out;
    }
    return {};
}

void put(amqp::table_builder& to, const std::string& name, const json_value& value);

void add(amqp::table_builder& to, const json_value& value) {
    if (value.is_object()) {
        to.begin_table();
        for (const auto& [name, each] : value.items()) {
            put(to, name, each);
        }
        to.end();
    } else if (value.is_boolean()) {
        to.add(value.get<bool>());
    } else if (value.is_number_integer()) {
        to.add(value.get<std::int64_t>());
    } else if (value.is_number()) {
        to.add(value.get<double>());
    } else if (value.is_string()) {
        to.add(std::string_view{value.get_ref<const std::string&>()});
    } else if (value.is_array()) {
        to.begin_array();
        for (const auto& each : value) {
            add(to, each);
        }
        to.end();
    } else {
        to.add(amqp::nothing_value{});
    }
}

void put(amqp::table_builder& to, const std::string& name, const json_value& value) {
    if (value.is_object()) {
        to.begin_table(name);
        for (const auto& [inner, each] : value.items()) {
            put(to, inner, each);
        }
        to.end();
    } else if (value.is_array()) {
        to.begin_array(name);
        for (const auto& each : value) {
            add(to, each);
        }
        to.end();
    } else if (value.is_boolean()) {
        to.put(name, value.get<bool>());
    } else if (value.is_number_integer()) {
        to.put(name, value.get<std::int64_t>());
    } else if (value.is_number()) {
        to.put(name, value.get<double>());
    } else if (value.is_string()) {
        to.put(name, std::string_view{value.get_ref<const std::string&>()});
    } else {
        to.put(name, amqp::nothing_value{});
    }
}

}  // namespace

json_value properties_json(wire::bytes_view block) {
    auto out = json_value::object();
    const auto view = amqp::basic_properties_view::parse(block);
    if (!view) {
        return out;
    }
    for (const auto& [name, which] : text_properties) {
        if (view->has(which)) {
            out[name] = amqp::detail::short_string(view->encoded(which));
        }
    }
    if (const auto headers = view->headers()) {
        out["headers"] = json_of(*headers);
    }
    if (const auto mode = view->delivery_mode()) {
        out["delivery_mode"] = *mode;
    }
    if (const auto priority = view->priority()) {
        out["priority"] = *priority;
    }
    if (const auto time = view->timestamp()) {
        out["timestamp"] = *time;
    }
    return out;
}

void add_payload(json_value& to, std::string_view body) {
    const bool is_text = wire::is_utf8(body);
    auto payload = std::string{};
    if (is_text) {
        payload = body;
    } else {
        http::append_base64(payload, body);
    }
    to["payload_bytes"] = body.size();
    to["payload"] = std::move(payload);
    to["payload_encoding"] = is_text ? "string" : "base64";
}

result<std::string> properties_block(const json_value& properties) {
    auto builder = amqp::basic_properties_builder{};
    for (const auto& [name, value] : properties.items()) {
        const auto known = std::find_if(text_properties.begin(), text_properties.end(),
                                        [&, &wanted = name](const auto& each) { return wanted == each.first; });
        if (known != text_properties.end()) {
            const auto text = value.is_string() ? value.get<std::string>() : value.dump();
            if (text.size() > 255) {
                return fail(exit_code::usage, fmt::format("property {} has more than 255 bytes", name));
            }
            builder.set_text(known->second, text);
        } else if (name == "headers" && value.is_object()) {
            auto table = amqp::table_builder{};
            for (const auto& [header, each] : value.items()) {
                put(table, header, each);
            }
            builder.set_headers(table.view());
        } else if (name == "delivery_mode" && value.is_number_unsigned()) {
            builder.set_delivery_mode(value.get<std::uint8_t>());
        } else if (name == "priority" && value.is_number_unsigned() && value <= 255) {
            builder.set_priority(value.get<std::uint8_t>());
        } else if (name == "timestamp" && value.is_number_unsigned()) {
            builder.set_timestamp(value.get<std::uint64_t>());
        } else {
            return fail(
                exit_code::usage, fmt::format("property {}={} is none that a message can have", name, value.dump()),
                "content_type, content_encoding, delivery_mode, priority, correlation_id, reply_to, expiration, "
                "message_id, timestamp, type, user_id, app_id");
        }
    }
    return builder.encode();
}

}  // namespace linnet::cli

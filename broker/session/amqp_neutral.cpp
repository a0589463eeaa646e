#include "broker/session/amqp_arguments.hpp"
#include "broker/session/amqp_names.hpp"
#include "broker/session/amqp_properties.hpp"
#include "protocol/amqp/content.hpp"
#include "protocol/amqp/properties_builder.hpp"
#include "protocol/amqp/table_builder.hpp"
#include "protocol/wire/utf8.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

// Between AMQP's property blocks and those of other protocols.

namespace linnet::session {
namespace {

using amqp::basic_properties_view;
using amqp::property;
using core::neutral_properties;
using core::value;

constexpr std::size_t short_bytes_max = 255;
// Where a correlation goes that is no text, or too long for a property; RabbitMQ's name for it.
constexpr std::string_view correlation_header = "x-correlation-id";

// The properties that are short strings on both sides; by these names they are headers where they do not fit.
struct text_property {
    property which;
    std::string_view name;
    std::optional<std::string> neutral_properties::*neutral;
};
constexpr text_property texts[] = {
    {property::content_type, "content-type", &neutral_properties::content_type},
    {property::content_encoding, "content-encoding", &neutral_properties::content_encoding},
    {property::reply_to, "reply-to", &neutral_properties::reply_to},
    {property::message_id, "message-id", &neutral_properties::message_id},
    {property::type, "type", &neutral_properties::type},
    {property::user_id, "user-id", &neutral_properties::user_id},
    {property::app_id, "app-id", &neutral_properties::app_id},
};

// Headers by name, in the order in which the names came.
class header_list {
public:
    void add(std::string_view name, const value& v) {
        if (name.size() > short_bytes_max) {
            return;
        }
        const auto [at, is_new] = places_.emplace(name, all_.size());
        if (is_new) {
            all_.emplace_back(std::string(name), core::value_array{});
        }
        all_[at->second].second.push_back(v);
    }
    void put_into(amqp::table_builder& to) const {
        for (const auto& [name, values] : all_) {
            put_value(to, name, values.size() == 1 ? values.front() : value{core::value_type::array, values});
        }
    }
    [[nodiscard]] bool empty() const noexcept { return all_.empty(); }

private:
    std::vector<std::pair<std::string, core::value_array>> all_;
    std::map<std::string, std::size_t, std::less<>> places_;
};

bool fits(std::string_view correlation) noexcept {
    return correlation.size() <= short_bytes_max && wire::is_utf8(correlation);
}

value correlation_value(std::string_view bytes) { return {core::value_type::bytes, std::string(bytes)}; }

// What a header says of it, if it is there and makes sense.
const std::string* correlation_in(const core::value_table& headers) noexcept {
    const auto* v = core::find(headers, correlation_header);
    return v == nullptr ? nullptr : std::get_if<std::string>(&v->data);
}

void set_texts(amqp::basic_properties_builder& block, header_list& headers, const neutral_properties& p) {
    for (const auto& t : texts) {
        const auto& text = p.*t.neutral;
        if (text && text->size() <= short_bytes_max) {
            block.set_text(t.which, *text);
        } else if (text) {
            headers.add(t.name, core::make_string(*text));
        }
    }
    if (p.correlation_id && fits(*p.correlation_id)) {
        block.set_text(property::correlation_id, *p.correlation_id);
    } else if (p.correlation_id) {
        headers.add(correlation_header, correlation_value(*p.correlation_id));
    }
    if (p.reply_handle) {
        block.set_text(property::reply_to, core::reply_key(*p.reply_handle));
    }
}

}  // namespace

neutral_properties amqp_property_reader::read(block b, const core::message_traits& t) const {
    const auto parsed = basic_properties_view::parse(b);
    const auto view = parsed ? *parsed : basic_properties_view{};
    neutral_properties all;
    const auto take = [](std::optional<std::string_view> text) {
        return text ? std::optional(std::string(*text)) : std::nullopt;
    };
    all.content_type = take(view.content_type());
    all.content_encoding = take(view.content_encoding());
    all.headers = to_values(view.headers().value_or(amqp::table_view{}));
    all.priority = view.priority();
    all.persistent = t.persistent;
    all.correlation_id = take(view.correlation_id());
    all.reply_to = take(view.reply_to());
    all.message_id = take(view.message_id());
    all.timestamp_s = view.timestamp();
    all.type = take(view.type());
    all.user_id = take(view.user_id());
    all.app_id = take(view.app_id());
    all.time_to_live = t.time_to_live;
    if (const auto* bytes = correlation_in(all.headers); bytes != nullptr && !all.correlation_id) {
        all.correlation_id = *bytes;
        std::erase_if(all.headers, [](const core::table_entry& h) { return h.first == correlation_header; });
    }
    if (const auto cluster = view.cluster_id()) {
        all.headers.emplace_back("cluster-id", core::make_string(*cluster));
    }
    return all;
}

std::optional<core::requested_answers> amqp_property_reader::answers_to(block b) const {
    const auto parsed = basic_properties_view::parse(b);
    const auto to = parsed ? parsed->reply_to() : std::nullopt;
    if (!to || to->empty()) {
        return std::nullopt;
    }
    if (const auto token = core::reply_token_of(*to)) {
        return *token;
    }
    if (const auto direct = reply_address::parse(*to)) {
        return core::answer_inbox{direct->session, direct->channel, std::string(*to)};
    }
    return core::answer_address{{}, std::string(*to)};
}

std::string with_header(core::property_reader::block b, std::string_view name, std::string_view text) {
    const auto parsed = amqp::basic_properties_view::parse(b);
    const auto view = parsed ? *parsed : amqp::basic_properties_view{};
    amqp::table_builder headers;
    headers.put_all_but(view.headers().value_or(amqp::table_view{}), {name});
    headers.put(name, text);
    return amqp::basic_properties_builder{view}.set_headers(headers.view()).encode();
}

std::string amqp_property_reader::with_correlation(block b, std::string_view correlation) const {
    const auto parsed = basic_properties_view::parse(b);
    const auto view = parsed ? *parsed : basic_properties_view{};
    amqp::basic_properties_builder out{view};
    amqp::table_builder headers;
    headers.put_all_but(view.headers().value_or(amqp::table_view{}), {correlation_header});
    if (fits(correlation)) {
        out.set_text(property::correlation_id, correlation);
    } else {
        out.remove(property::correlation_id);
        put_value(headers, correlation_header, correlation_value(correlation));
    }
    if (view.headers() || !fits(correlation)) {
        out.set_headers(headers.view());
    }
    return out.encode();
}

std::string to_block(const neutral_properties& p) {
    amqp::basic_properties_builder block;
    header_list headers;
    for (const auto& [name, v] : p.headers) {
        headers.add(name, v);
    }
    set_texts(block, headers, p);
    block.set_delivery_mode(p.persistent ? 2 : 1);
    if (p.priority) {
        block.set_priority(*p.priority);
    }
    if (p.timestamp_s) {
        block.set_timestamp(*p.timestamp_s);
    }
    if (p.time_to_live >= 0) {
        const mono_ns whole = p.time_to_live / ns_per_ms + (p.time_to_live % ns_per_ms != 0 ? 1 : 0);
        block.set_text(property::expiration, std::to_string(std::max<mono_ns>(whole, 1)));
    }
    amqp::table_builder table;
    if (!headers.empty()) {
        headers.put_into(table);
        block.set_headers(table.view());
    }
    return block.encode();
}

}  // namespace linnet::session

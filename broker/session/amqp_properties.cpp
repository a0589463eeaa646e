#include "broker/session/amqp_properties.hpp"

#include "broker/session/amqp_arguments.hpp"
#include "protocol/amqp/content.hpp"
#include "protocol/amqp/properties_builder.hpp"

#include <algorithm>

namespace linnet::session {
namespace {

using amqp::basic_properties_view;
using core::death;
using core::death_log;
using core::death_reason;
using core::value;

constexpr std::string_view offset_header = "x-stream-offset";

basic_properties_view view_of(core::property_reader::block b) noexcept {
    const auto parsed = basic_properties_view::parse(b);
    return parsed ? *parsed : basic_properties_view{};
}

amqp::table_view headers_of(const basic_properties_view& view) noexcept {
    return view.headers().value_or(amqp::table_view{});
}

std::string text_in(amqp::table_view table, std::string_view name) {
    const auto field = table.find(name);
    return std::string(field ? field->as_string().value_or("") : "");
}

std::optional<death_reason> reason_of(std::string_view text) noexcept {
    for (const auto reason :
         {death_reason::rejected, death_reason::expired, death_reason::maxlen, death_reason::delivery_limit}) {
        if (text == core::to_text(reason)) {
            return reason;
        }
    }
    return std::nullopt;
}

// A row that a client made up may lack anything; without a queue and a reason it says nothing.
std::optional<death> read_death(amqp::table_view row) {
    const auto reason = reason_of(text_in(row, "reason"));
    death d;
    d.queue = text_in(row, "queue");
    if (!reason || d.queue.empty()) {
        return std::nullopt;
    }
    d.reason = *reason;
    d.exchange = text_in(row, "exchange");
    d.original_expiration = text_in(row, "original-expiration");
    if (const auto count = row.find("count")) {
        d.count = static_cast<std::uint64_t>(std::max<std::int64_t>(0, count->as_int64().value_or(1)));
    }
    if (const auto time = row.find("time")) {
        // Seconds beyond what nanoseconds can hold are the client's invention.
        const auto seconds = static_cast<std::int64_t>(time->as_timestamp().value_or(0));
        constexpr auto seconds_max = INT64_MAX / ns_per_s;
        d.first_time = seconds >= 0 && seconds <= seconds_max ? seconds * ns_per_s : 0;
    }
    if (const auto keys = row.find("routing-keys")) {
        for (const auto& key : keys->as_array().value_or(amqp::array_view{})) {
            if (const auto text = key.as_string()) {
                d.routing_keys.emplace_back(*text);
            }
        }
    }
    return d;
}

// The fields by name, as RabbitMQ sorts them.
void put_death(amqp::table_builder& to, const death& d) {
    to.begin_table();
    to.put("count", static_cast<std::int64_t>(d.count));
    to.put("exchange", std::string_view{d.exchange});
    if (!d.original_expiration.empty()) {
        to.put("original-expiration", std::string_view{d.original_expiration});
    }
    to.put("queue", std::string_view{d.queue});
    to.put("reason", std::string_view{core::to_text(d.reason)});
    to.begin_array("routing-keys");
    for (const auto& key : d.routing_keys) {
        to.add(std::string_view{key});
    }
    to.end();
    to.put("time", amqp::timestamp_value{static_cast<std::uint64_t>(d.first_time / ns_per_s)});
    to.end();
}

amqp::array_view deaths_in(amqp::table_view headers) {
    const auto field = headers.find("x-death");
    return field ? field->as_array().value_or(amqp::array_view{}) : amqp::array_view{};
}

bool alike(const death& a, const death& b) {
    return a.queue == b.queue && a.reason == b.reason && a.count == b.count && a.exchange == b.exchange &&
           a.routing_keys == b.routing_keys && a.first_time == b.first_time &&
           a.original_expiration == b.original_expiration;
}

// A row that the publisher sent along and nothing has been added to goes out as it came.
void put_deaths(amqp::table_builder& to, const death_log& log, amqp::array_view published) {
    to.begin_array("x-death");
    for (const auto& row : log.rows) {
        const auto as_published = std::find_if(published.begin(), published.end(), [&](const amqp::field_value& v) {
            const auto read = read_death(v.as_table().value_or(amqp::table_view{}));
            return read && alike(*read, row);
        });
        if (as_published != published.end()) {
            to.add(*as_published);
        } else {
            put_death(to, row);
        }
    }
    to.end();
}

void put_first_death(amqp::table_builder& to, const death_log& log) {
    to.put("x-first-death-exchange", std::string_view{log.first_exchange});
    to.put("x-first-death-queue", std::string_view{log.first_queue});
    to.put("x-first-death-reason", std::string_view{core::to_text(log.first_reason)});
}

}  // namespace

core::value_table amqp_property_reader::headers(block b) const { return to_values(headers_of(view_of(b))); }

std::optional<core::value> amqp_property_reader::header(block b, std::string_view name) const {
    const auto field = headers_of(view_of(b)).find(name);
    return field ? std::optional(to_value(*field)) : std::nullopt;
}

std::optional<core::death_log> amqp_property_reader::deaths(block b) const {
    const auto view = view_of(b);
    const auto table = headers_of(view);
    const auto field = table.find("x-death");
    if (!field) {
        return std::nullopt;
    }
    death_log log;
    for (const auto& row : field->as_array().value_or(amqp::array_view{})) {
        if (auto d = read_death(row.as_table().value_or(amqp::table_view{}))) {
            log.rows.push_back(std::move(*d));
        }
    }
    if (log.rows.empty()) {
        return std::nullopt;
    }
    const auto& oldest = log.rows.back();
    log.first_queue = table.contains("x-first-death-queue") ? text_in(table, "x-first-death-queue") : oldest.queue;
    log.first_exchange = table.contains("x-first-death-exchange") ? text_in(table, "x-first-death-exchange")
                                                                  : oldest.exchange;
    log.first_reason = reason_of(text_in(table, "x-first-death-reason")).value_or(oldest.reason);
    return log;
}

std::string amqp_property_reader::expiration(block b) const {
    return std::string(view_of(b).expiration().value_or(""));
}

std::vector<std::string> amqp_property_reader::carbon_copies(block b) const {
    std::vector<std::string> keys;
    const auto view = view_of(b);
    if (const auto field = headers_of(view).find("CC")) {
        for (const auto& key : field->as_array().value_or(amqp::array_view{})) {
            if (const auto text = key.as_string()) {
                keys.emplace_back(*text);
            }
        }
    }
    return keys;
}

std::string amqp_property_reader::message_id(block b) const {
    return std::string(view_of(b).message_id().value_or(""));
}

std::uint64_t amqp_property_reader::message_id_hash(block b, std::uint64_t seed) const {
    return core::stable_hash(view_of(b).message_id().value_or(""), seed);
}

namespace {
// Without the guard of a local static: every publish passes by here.
constinit const amqp_property_reader the_reader;
}  // namespace

const amqp_property_reader& amqp_reader() noexcept { return the_reader; }

std::string properties_with_history(const core::message& m, std::uint32_t delivery_count,
                                    const core::neutral_properties* foreign,
                                    std::optional<core::position> stream_offset) {
    const bool ours = m.properties_of() == core::protocol_tag::amqp091;
    const std::string rendered = foreign == nullptr ? std::string() : to_block(*foreign);
    const auto base = view_of(ours ? m.properties() : wire::as_bytes(rendered));
    amqp::basic_properties_builder block{base};
    amqp::table_builder headers;
    if (const auto* log = m.deaths()) {
        headers.put_all_but(headers_of(base), {"x-death", "x-delivery-count"});
        put_deaths(headers, *log, deaths_in(headers_of(base)));
        // Who published an x-death has told of the first death already, or has none to tell of.
        if (!headers_of(base).contains("x-death")) {
            put_first_death(headers, *log);
        }
        if (log->copies_taken) {
            headers.remove("CC");
        }
        if (log->expiration_taken) {
            block.remove(amqp::property::expiration);
        }
    } else {
        headers.put_all_but(headers_of(base), {"x-delivery-count"});
    }
    if (delivery_count != 0) {
        headers.put("x-delivery-count", static_cast<std::int64_t>(delivery_count));
    }
    if (stream_offset) {
        headers.remove(offset_header);
        headers.put(offset_header, static_cast<std::int64_t>(*stream_offset));
    }
    block.set_headers(headers.view());
    return block.encode();
}

namespace {

void put_big_endian(std::string& out, std::uint64_t n, std::size_t bytes) {
    for (std::size_t i = bytes; i-- > 0;) {
        out.push_back(static_cast<char>(n >> (8 * i)));
    }
}
void put_bytes(std::string& out, wire::bytes_view bytes) {
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace

// The block is copied around one more header: taking the table apart would cost more than the whole delivery.
void properties_with_offset(const core::message& m, core::position offset, std::string& out,
                            const core::neutral_properties* foreign) {
    constexpr std::uint16_t more_flags = 1;
    constexpr std::size_t length_bytes = 4;
    constexpr std::size_t entry_bytes = 1 + offset_header.size() + 1 + sizeof(std::int64_t);
    const bool ours = m.properties_of() == core::protocol_tag::amqp091;
    const auto view = ours ? view_of(m.properties()) : basic_properties_view{};
    if (!ours || m.deaths() != nullptr || (view.flags() & more_flags) != 0 ||
        headers_of(view).contains(offset_header)) {
        out = properties_with_history(m, 0, foreign, offset);
        return;
    }
    using amqp::property;
    const auto table = view.encoded(property::headers);
    const auto entries = table.empty() ? table : table.subspan(length_bytes);
    const auto values = !view.block().empty() ? view.block().subspan(2) : wire::bytes_view{};
    const auto before = view.encoded(property::content_type).size() + view.encoded(property::content_encoding).size();
    out.clear();
    put_big_endian(out, view.flags() | static_cast<std::uint16_t>(amqp::flag_of(property::headers)), 2);
    put_bytes(out, values.first(before));
    put_big_endian(out, entries.size() + entry_bytes, length_bytes);
    put_bytes(out, entries);
    put_big_endian(out, offset_header.size(), 1);
    out.append(offset_header);
    out.push_back('l');
    put_big_endian(out, offset, sizeof(std::int64_t));
    put_bytes(out, values.subspan(before + table.size()));
}

}  // namespace linnet::session

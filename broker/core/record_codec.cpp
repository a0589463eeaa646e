#include "broker/core/record_codec.hpp"

#include "broker/core/death_log.hpp"
#include "broker/core/message_builder.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace linnet::core {

namespace {

constexpr std::uint8_t version = 1;

// Bits of a message's head.
constexpr std::uint8_t is_persistent = 1;
constexpr std::uint8_t has_time_to_live = 2;
constexpr std::uint8_t has_due = 4;
constexpr std::uint8_t has_deaths = 8;
constexpr std::uint8_t is_repeated = 16;
constexpr std::uint8_t is_to_retain = 32;
constexpr std::uint8_t is_answerable = 64;
constexpr std::uint8_t is_once = 128;
// Of the protocol's byte, for there is no room left above: records from before there were ids do not have it.
constexpr std::uint8_t is_identified = 64;
// Bits of a death log.
constexpr std::uint8_t expiration_taken = 1;
constexpr std::uint8_t copies_taken = 2;

// The shortest row of a death log: five empty texts or lists, a reason, a count, a time.
constexpr std::size_t row_bytes_min = 14;
constexpr std::size_t place_bytes_min = 3;
constexpr std::size_t run_bytes_min = 2;

void put_byte(record_bytes& out, std::uint8_t v) { out.push_back(v); }

void put_number(record_bytes& out, std::uint64_t v) {
    for (; v >= 0x80; v >>= 7) {
        out.push_back(static_cast<std::uint8_t>(v | 0x80));
    }
    out.push_back(static_cast<std::uint8_t>(v));
}

void put_fixed(record_bytes& out, std::uint64_t v) {
    for (int shift = 0; shift < 64; shift += 8) {
        out.push_back(static_cast<std::uint8_t>(v >> shift));
    }
}

void put_text(record_bytes& out, std::string_view text) {
    put_number(out, text.size());
    out.insert(out.end(), text.begin(), text.end());
}

void put_texts(record_bytes& out, const std::vector<std::string>& texts) {
    put_number(out, texts.size());
    for (const auto& text : texts) {
        put_text(out, text);
    }
}

// Distances go both ways: small ones of either sign become small numbers.
constexpr std::uint64_t zigzag(std::uint64_t distance) noexcept { return (distance << 1) ^ (0 - (distance >> 63)); }
constexpr std::uint64_t unzigzag(std::uint64_t v) noexcept { return (v >> 1) ^ (0 - (v & 1)); }

void begin_record(record_bytes& out) {
    out.clear();
    put_byte(out, version);
}

// Reads on while there is something; after the first thing that does not fit it is bad, and gives zeros.
class cursor {
public:
    explicit cursor(std::span<const std::uint8_t> bytes) noexcept : left_(bytes) {}

    [[nodiscard]] bool good() const noexcept { return good_; }
    [[nodiscard]] bool done() const noexcept { return good_ && left_.empty(); }
    [[nodiscard]] std::span<const std::uint8_t> left() const noexcept { return left_; }
    void expect(bool holds) noexcept {
        if (!holds) {
            good_ = false;
            left_ = {};
        }
    }

    [[nodiscard]] std::span<const std::uint8_t> bytes(std::uint64_t n) noexcept {
        expect(n <= left_.size());
        if (!good_) {
            return {};
        }
        const auto taken = left_.first(n);
        left_ = left_.subspan(n);
        return taken;
    }
    [[nodiscard]] std::uint8_t byte() noexcept {
        const auto b = bytes(1);
        return b.empty() ? std::uint8_t{0} : b[0];
    }
    [[nodiscard]] std::uint64_t number() noexcept {
        std::uint64_t v = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const std::uint8_t b = byte();
            expect(shift != 63 || b <= 1);
            v |= std::uint64_t{b & 0x7fU} << shift;
            if ((b & 0x80U) == 0) {
                return v;
            }
        }
        return 0;
    }
    [[nodiscard]] std::uint64_t number_to(std::uint64_t max) noexcept {
        const std::uint64_t v = number();
        expect(v <= max);
        return good_ ? v : 0;
    }
    [[nodiscard]] std::uint64_t fixed() noexcept {
        std::uint64_t v = 0;
        const auto b = bytes(8);
        for (std::size_t i = 0; i < b.size(); ++i) {
            v |= std::uint64_t{b[i]} << (8 * i);
        }
        return v;
    }
    // How many things follow, of at least so many bytes each.
    [[nodiscard]] std::uint64_t count(std::size_t bytes_each) noexcept { return number_to(left_.size() / bytes_each); }
    [[nodiscard]] std::string_view text(std::uint64_t n) noexcept {
        const auto b = bytes(n);
        return {reinterpret_cast<const char*>(b.data()), b.size()};
    }
    [[nodiscard]] std::string text() { return std::string(text(number())); }
    [[nodiscard]] std::vector<std::string> texts() {
        std::vector<std::string> all;
        for (auto n = count(1); n != 0 && good_; --n) {
            all.push_back(text());
        }
        return all;
    }

private:
    std::span<const std::uint8_t> left_;
    bool good_ = true;
};

constexpr std::uint32_t u32_max = std::numeric_limits<std::uint32_t>::max();

void put_deaths(record_bytes& out, const death_log& log) {
    put_byte(out, static_cast<std::uint8_t>((log.expiration_taken ? expiration_taken : 0) |
                                            (log.copies_taken ? copies_taken : 0)));
    put_byte(out, static_cast<std::uint8_t>(log.first_reason));
    put_text(out, log.first_queue);
    put_text(out, log.first_exchange);
    put_texts(out, log.routing_keys_override);
    put_number(out, log.rows.size());
    for (const auto& row : log.rows) {
        put_byte(out, static_cast<std::uint8_t>(row.reason));
        put_number(out, row.count);
        put_fixed(out, static_cast<std::uint64_t>(row.first_time));
        put_text(out, row.queue);
        put_text(out, row.exchange);
        put_texts(out, row.routing_keys);
        put_text(out, row.original_expiration);
    }
}

[[nodiscard]] death_reason read_reason(cursor& in) {
    return static_cast<death_reason>(in.number_to(static_cast<std::uint8_t>(death_reason::delivery_limit)));
}

[[nodiscard]] death read_row(cursor& in) {
    death row;
    row.reason = read_reason(in);
    row.count = in.number();
    row.first_time = static_cast<wall_ns>(in.fixed());
    row.queue = in.text();
    row.exchange = in.text();
    row.routing_keys = in.texts();
    row.original_expiration = in.text();
    return row;
}

void read_places(cursor& in, std::vector<message_place>& out) {
    out.clear();
    for (auto n = in.count(place_bytes_min); n != 0 && in.good(); --n) {
        message_place p;
        p.owner = in.number();
        p.pos = in.number();
        p.attempts = static_cast<std::uint32_t>(in.number_to(u32_max));
        out.push_back(p);
    }
}

void read_traits(cursor& in, message_record& out) {
    const std::uint8_t bits = in.byte();
    out.traits.persistent = (bits & is_persistent) != 0;
    out.traits.repeated = (bits & is_repeated) != 0;
    out.traits.retain = (bits & is_to_retain) != 0;
    out.traits.answerable = (bits & is_answerable) != 0;
    out.traits.once = (bits & is_once) != 0;
    out.traits.priority = in.byte();
    const std::uint64_t protocol = in.number();
    out.traits.identified = (protocol & is_identified) != 0;
    const std::uint64_t tag = protocol & ~std::uint64_t{is_identified};
    in.expect(tag < protocol_tags);
    out.traits.properties_of = in.good() ? static_cast<protocol_tag>(tag) : protocol_tag::none;
    out.stored_at = static_cast<wall_ns>(in.fixed());
    constexpr auto longest = static_cast<std::uint64_t>(std::numeric_limits<mono_ns>::max());
    out.traits.time_to_live = (bits & has_time_to_live) != 0 ? static_cast<mono_ns>(in.number_to(longest)) : -1;
    out.due = (bits & has_due) != 0 ? static_cast<wall_ns>(in.fixed()) : 0;
    out.deaths = (bits & has_deaths) != 0 ? in.bytes(in.number()) : std::span<const std::uint8_t>{};
}

void read_content(cursor& in, message_record& out) {
    const auto exchange_bytes = in.number_to(std::numeric_limits<std::uint8_t>::max());
    const auto key_bytes = in.number_to(std::numeric_limits<std::uint16_t>::max());
    const auto properties_bytes = in.number_to(u32_max);
    const auto body_bytes = in.number_to(u32_max);
    out.exchange = in.text(exchange_bytes);
    out.key = in.text(key_bytes);
    out.properties = in.bytes(properties_bytes);
    out.body = in.bytes(body_bytes);
}

[[nodiscard]] cursor open_record(std::span<const std::uint8_t> bytes) noexcept {
    cursor in(bytes);
    in.expect(in.byte() == version);
    return in;
}

}  // namespace

std::span<const std::uint8_t> content_of(const message& m) noexcept {
    const std::size_t bytes = m.exchange().size() + m.routing_key().size() + m.properties().size() +
                              std::size_t{m.body_bytes()};
    return {reinterpret_cast<const std::uint8_t*>(m.exchange().data()), bytes};
}

void encode_places(record_bytes& out, std::span<const message_place> places) {
    begin_record(out);
    put_number(out, places.size());
    for (const auto& p : places) {
        put_number(out, p.owner);
        put_number(out, p.pos);
        put_number(out, p.attempts);
    }
}

void append_head(record_bytes& out, const message& m, wall_ns stored_at, wall_ns due) {
    const auto& t = m.traits();
    put_byte(out, static_cast<std::uint8_t>((t.persistent ? is_persistent : 0) |
                                            (t.time_to_live >= 0 ? has_time_to_live : 0) | (due != 0 ? has_due : 0) |
                                            (m.deaths() != nullptr ? has_deaths : 0) | (t.repeated ? is_repeated : 0) |
                                            (t.retain ? is_to_retain : 0) | (t.answerable ? is_answerable : 0) |
                                            (t.once ? is_once : 0)));
    put_byte(out, t.priority);
    put_byte(out, static_cast<std::uint8_t>(static_cast<std::uint8_t>(t.properties_of) |
                                            (t.identified ? is_identified : 0)));
    put_fixed(out, static_cast<std::uint64_t>(stored_at));
    if (t.time_to_live >= 0) {
        put_number(out, static_cast<std::uint64_t>(t.time_to_live));
    }
    if (due != 0) {
        put_fixed(out, static_cast<std::uint64_t>(due));
    }
    if (m.deaths() != nullptr) {
        record_bytes deaths;
        put_deaths(deaths, *m.deaths());
        put_number(out, deaths.size());
        out.insert(out.end(), deaths.begin(), deaths.end());
    }
    put_number(out, m.exchange().size());
    put_number(out, m.routing_key().size());
    put_number(out, m.properties().size());
    put_number(out, m.body_bytes());
}

void encode_settled(record_bytes& out, owner_uid owner, std::span<const journal::run> runs) {
    begin_record(out);
    put_number(out, owner);
    put_number(out, runs.size());
    position end = 0;
    for (const auto& r : runs) {
        put_number(out, zigzag(r.first - end));
        put_number(out, r.count);
        end = r.first + r.count;
    }
}

void encode_attempts(record_bytes& out, owner_uid owner, position pos, std::uint32_t attempts) {
    begin_record(out);
    put_number(out, owner);
    put_number(out, pos);
    put_number(out, attempts);
}

void encode_doubt(record_bytes& out, owner_uid owner, position below) {
    begin_record(out);
    put_number(out, owner);
    put_number(out, below);
}

void encode_keys(record_bytes& out, owner_uid owner, std::span<const std::uint8_t> keys) {
    begin_record(out);
    put_number(out, owner);
    out.insert(out.end(), keys.begin(), keys.end());
}

void encode_group_end(record_bytes& out) { begin_record(out); }

bool decode(std::span<const std::uint8_t> bytes, message_record& out) {
    cursor in = open_record(bytes);
    read_places(in, out.places);
    out.rest = in.left();
    read_traits(in, out);
    read_content(in, out);
    return in.done();
}

bool decode(std::span<const std::uint8_t> bytes, settled_record& out) {
    cursor in = open_record(bytes);
    out.owner = in.number();
    out.runs.clear();
    position end = 0;
    for (auto n = in.count(run_bytes_min); n != 0 && in.good(); --n) {
        journal::run r;
        r.first = end + unzigzag(in.number());
        r.count = in.number_to(std::numeric_limits<position>::max() - r.first);
        end = r.first + r.count;
        out.runs.push_back(r);
    }
    return in.done();
}

bool decode(std::span<const std::uint8_t> bytes, attempts_record& out) {
    cursor in = open_record(bytes);
    out.owner = in.number();
    out.pos = in.number();
    out.attempts = static_cast<std::uint32_t>(in.number_to(u32_max));
    return in.done();
}

bool decode(std::span<const std::uint8_t> bytes, doubt_record& out) {
    cursor in = open_record(bytes);
    out.owner = in.number();
    out.below = in.number();
    return in.done();
}

bool decode(std::span<const std::uint8_t> bytes, keys_record& out) {
    cursor in = open_record(bytes);
    out.owner = in.number();
    out.keys = in.left();
    return in.good();
}

std::unique_ptr<death_log> decode_deaths(std::span<const std::uint8_t> bytes) {
    cursor in(bytes);
    auto log = std::make_unique<death_log>();
    const std::uint8_t bits = in.byte();
    in.expect((bits & ~(expiration_taken | copies_taken)) == 0);
    log->expiration_taken = (bits & expiration_taken) != 0;
    log->copies_taken = (bits & copies_taken) != 0;
    log->first_reason = read_reason(in);
    log->first_queue = in.text();
    log->first_exchange = in.text();
    log->routing_keys_override = in.texts();
    for (auto n = in.count(row_bytes_min); n != 0 && in.good(); --n) {
        log->rows.push_back(read_row(in));
    }
    return in.done() ? std::move(log) : nullptr;
}

message_ptr rebuild(message_pool& pool, const message_record& r) {
    std::unique_ptr<death_log> deaths;
    if (!r.deaths.empty()) {
        deaths = decode_deaths(r.deaths);
        if (deaths == nullptr) {
            return {};
        }
    }
    message_builder b;
    b.write_whole(pool, r.exchange, r.key, r.properties, r.body, r.traits);
    return deaths == nullptr ? b.finish() : b.finish(std::move(deaths));
}

}  // namespace linnet::core

// Feeds records of any kind and bytes to a journal's recovery, which must not break; what decodes must come back the
// same from its own encoding, and a message must be rebuilt or refused.
//
// The input is a row of records: kind, length (two bytes), payload.
#include "broker/base/log.hpp"
#include "broker/core/death_log.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/core/record_codec.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>

namespace {

using namespace linnet::core;

void expect(bool holds) {
    if (!holds) {
        std::abort();
    }
}

// Keeps accounts as a queue does, so that the journal's are held against something.
class accountant final : public record_owner {
public:
    [[nodiscard]] record_range place_of(position pos) const override {
        const auto found = held_.find(pos);
        return found == held_.end() ? record_range{} : record_range{found->second.at, found->second.bytes};
    }
    void on_moved(position, const stored_ref&) override {}
    void on_fetched(position, message_ptr) override {}
    void on_recovered(const recovered_message& m) override {
        release(m.pos);
        held_[m.pos] = m.where;
    }
    void on_recovered_settled(position first, std::uint64_t count) override {
        while (true) {
            const auto at = held_.lower_bound(first);
            if (at == held_.end() || at->first - first >= count) {
                return;
            }
            release(at->first);
        }
    }
    void on_recovered_attempts(position, std::uint32_t) override {}

    journal* home = nullptr;

private:
    void release(position pos) {
        if (const auto at = held_.find(pos); at != held_.end()) {
            home->release(at->second);
            held_.erase(at);
        }
    }
    std::map<position, stored_ref> held_;
};

void check_message(message_pool& pool, std::span<const std::uint8_t> payload) {
    message_record m;
    if (!decode(payload, m)) {
        return;
    }
    const message_ptr built = rebuild(pool, m);
    if (!built) {
        return;
    }
    record_bytes head;
    encode_places(head, m.places);
    append_head(head, *built, m.stored_at, m.due);
    const auto content = content_of(*built);
    head.insert(head.end(), content.begin(), content.end());
    message_record again;
    expect(decode(head, again) && again.places.size() == m.places.size() && again.exchange == m.exchange &&
           again.key == m.key && std::ranges::equal(again.properties, m.properties) &&
           std::ranges::equal(again.body, m.body) && again.stored_at == m.stored_at &&
           again.traits.time_to_live == m.traits.time_to_live);
}

void check_settled(std::span<const std::uint8_t> payload) {
    settled_record s;
    if (!decode(payload, s)) {
        return;
    }
    record_bytes bytes;
    encode_settled(bytes, s.owner, s.runs);
    settled_record again;
    const auto same = [](const journal::run& a, const journal::run& b) {
        return a.first == b.first && a.count == b.count;
    };
    expect(decode(bytes, again) && again.owner == s.owner && std::ranges::equal(again.runs, s.runs, same));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const std::string trouble = [] {
        linnet::log::options o;
        o.threshold = linnet::log::level::off;
        return linnet::log::configure(o);
    }();
    expect(trouble.empty());
    message_pool pool{shard_id{0}};
    message_pool::enter(&pool);
    {
        accountant owner;
        journal j(pool, [&](owner_uid uid) -> record_owner* { return uid == 1 ? &owner : nullptr; });
        owner.home = &j;
        log_position at = 64 * 1024;
        for (std::span<const std::uint8_t> left(data, size); left.size() >= 3;) {
            const std::uint8_t kind = left[0];
            const std::size_t bytes = std::min<std::size_t>(left[1] | left[2] << 8, left.size() - 3);
            const auto payload = left.subspan(3, bytes);
            left = left.subspan(3 + bytes);
            j.replay({at, kind, 0, payload, static_cast<std::uint32_t>(bytes + 12)});
            at += bytes + 12;
            check_message(pool, payload);
            check_settled(payload);
            static_cast<void>(decode_deaths(payload));
        }
    }
    message_pool::enter(nullptr);
    return 0;
}

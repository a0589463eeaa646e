#include "broker/session/http_lease.hpp"

#include "broker/session/amqp_names.hpp"
#include "broker/session/reject_reason.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstring>

namespace linnet::session {
namespace {

constexpr std::size_t shard_digits = 4;
constexpr std::size_t number_digits = 16;

template <class Number>
bool read_digits(std::string_view text, Number& into) noexcept {
    const auto end = text.data() + text.size();
    const auto done = std::from_chars(text.data(), end, into, 16);
    return done.ec == std::errc{} && done.ptr == end;
}

}  // namespace

std::string http_lease_id::text() const { return fmt::format("{:04x}{:016x}{:016x}", shard, number, secret); }

std::optional<http_lease_id> http_lease_id::parse(std::string_view text) noexcept {
    http_lease_id id;
    const bool good = text.size() == shard_digits + 2 * number_digits &&
                      read_digits(text.substr(0, shard_digits), id.shard) &&
                      read_digits(text.substr(shard_digits, number_digits), id.number) &&
                      read_digits(text.substr(shard_digits + number_digits), id.secret);
    return good ? std::optional(id) : std::nullopt;
}

http_lease_id http_leases::add(core::delivery&& d, std::string user, core::vhost_id vhost, mono_ns lasts) {
    std::array<std::uint8_t, 8> random{};
    fill_random(random);
    http_lease_id id{.shard = shard_.id().value, .number = ++last_};
    std::memcpy(&id.secret, random.data(), random.size());
    auto made = std::make_unique<lease>(*this, id);
    made->lent = std::move(d);
    made->user = std::move(user);
    made->vhost = vhost;
    shard_.timers().start(*made, shard_.now() + lasts);
    all_.emplace(id.number, std::move(made));
    return id;
}

http_leases::lease* http_leases::find(const http_lease_id& id, std::string_view user, core::vhost_id vhost) {
    const auto at = all_.find(id.number);
    const bool good = at != all_.end() && at->second->id == id && at->second->user == user &&
                      at->second->vhost == vhost;
    return good ? at->second.get() : nullptr;
}

bool http_leases::settle(const http_lease_id& id, std::string_view user, core::vhost_id vhost, core::settlement how) {
    if (find(id, user, vhost) == nullptr) {
        return false;
    }
    settle(id.number, how);
    return true;
}

bool http_leases::reject(const http_lease_id& id, std::string_view user, core::vhost_id vhost,
                         std::string_view reason) {
    auto* const l = find(id, user, vhost);
    if (l == nullptr) {
        return false;
    }
    if (!reason.empty()) {
        l->lent.msg = with_reject_reason(shard_.pool(), *l->lent.msg, reason);
    }
    settle(id.number, core::settlement::rejected);
    return true;
}

bool http_leases::extend(const http_lease_id& id, std::string_view user, core::vhost_id vhost, mono_ns lasts) {
    auto* const l = find(id, user, vhost);
    if (l != nullptr) {
        shard_.timers().start(*l, shard_.now() + lasts);
    }
    return l != nullptr;
}

void http_leases::settle(std::uint64_t number, core::settlement how) {
    const auto at = all_.find(number);
    const auto gone = std::move(at->second);
    all_.erase(at);
    if (how == core::settlement::accepted && gone->lent.msg->traits().identified) {
        shard_.note_accepted(gone->vhost, gone->lent);
    }
    shard_.settle({&gone->lent, 1}, how);
}

void http_leases::end() {
    while (!all_.empty()) {
        give_back(all_.begin()->first);
    }
}

}  // namespace linnet::session

#include "broker/core/topology_record.hpp"

#include "broker/core/value_codec.hpp"

#include <algorithm>

namespace linnet::core {

namespace {

constexpr std::uint8_t format_version = 1;

// ---- What names a thing --------------------------------------------------------------------------

struct key_writer {
    byte_writer& out;

    void operator()(const vhost_definition& d) const { out.put_text(d.name); }
    void operator()(const user_definition& d) const { out.put_text(d.name); }
    void operator()(const permission_definition& d) const {
        out.put_text(d.vhost);
        out.put_text(d.user);
    }
    void operator()(const topic_permission_definition& d) const {
        out.put_text(d.vhost);
        out.put_text(d.user);
        out.put_text(d.exchange);
    }
    void operator()(const policy_definition& d) const {
        out.put_text(d.vhost);
        out.put(static_cast<std::uint8_t>(d.kind));
        out.put_text(d.what.name);
    }
    void operator()(const parameter_definition& d) const {
        out.put_text(d.vhost);
        out.put_text(d.component);
        out.put_text(d.name);
    }
    void operator()(const exchange_definition& d) const {
        out.put_text(d.vhost);
        out.put_text(d.name);
    }
    void operator()(const queue_definition& d) const {
        out.put_text(d.vhost);
        out.put_text(d.name);
    }
    void operator()(const binding_definition& d) const {
        out.put_text(d.vhost);
        out.put_text(d.source);
        out.put_text(d.destination);
        out.put(static_cast<std::uint8_t>(d.kind));
        out.put_text(d.routing_key);
        out.put_flag(d.hide_dollar);
        encode(out, d.arguments);
    }
    void operator()(const note_definition& d) const { out.put_text(d.name); }
    void operator()(const vhost_limits_definition& d) const { out.put_text(d.vhost); }
};

// ---- The rest ------------------------------------------------------------------------------------

struct rest_writer {
    byte_writer& out;

    void operator()(const vhost_definition& d) const {
        if (d.number != 0) {
            out.put(d.number);
        }
    }
    void operator()(const user_definition& d) const {
        out.put_text(d.password_hash);
        out.put(static_cast<std::uint32_t>(d.tags.size()));
        for (const auto& tag : d.tags) {
            out.put_text(tag);
        }
        out.put_flag(d.loopback_only);
    }
    void operator()(const permission_definition& d) const {
        out.put_text(d.patterns.configure);
        out.put_text(d.patterns.write);
        out.put_text(d.patterns.read);
    }
    void operator()(const topic_permission_definition& d) const {
        out.put_text(d.patterns.write);
        out.put_text(d.patterns.read);
    }
    void operator()(const policy_definition& d) const {
        out.put_text(d.what.pattern);
        out.put(static_cast<std::uint8_t>(d.what.apply_to));
        out.put(d.what.priority);
        encode(out, d.what.definition);
    }
    void operator()(const parameter_definition& d) const { out.put_text(d.json); }
    void operator()(const exchange_definition& d) const {
        out.put_text(d.type);
        out.put_flag(d.auto_delete);
        out.put_flag(d.internal);
        encode(out, d.arguments);
    }
    void operator()(const queue_definition& d) const {
        out.put_flag(d.auto_delete);
        out.put(d.uid);
        out.put(d.log);
        encode(out, d.arguments);
    }
    void operator()(const binding_definition&) const {}
    void operator()(const note_definition& d) const { out.put_text(d.text); }
    void operator()(const vhost_limits_definition& d) const {
        limit(d.limits.connections_max);
        limit(d.limits.queues_max);
    }

private:
    void limit(std::optional<std::int64_t> most) const {
        out.put_flag(most.has_value());
        out.put(most.value_or(0));
    }
};

// ---- Reading -------------------------------------------------------------------------------------

class definition_reader {
public:
    definition_reader(byte_reader& in, topology_change change) : in_(in), whole_(change == topology_change::defined) {}

    [[nodiscard]] definition read(topology_record kind) {
        switch (kind) {
            case topology_record::vhost: return vhost();
            case topology_record::user: return user();
            case topology_record::permission: return permission();
            case topology_record::topic_permission: return topic_permission();
            case topology_record::policy: return a_policy();
            case topology_record::parameter: return parameter();
            case topology_record::exchange: return exchange();
            case topology_record::queue: return queue();
            case topology_record::binding: return binding();
            case topology_record::note: return note();
            case topology_record::vhost_limits: return limits();
            case topology_record::rewrite_begins:
            case topology_record::rewrite_ends: break;
        }
        in_.fail();
        return {};
    }

private:
    [[nodiscard]] std::string text() { return std::string(in_.get_text()); }
    template <class E>
    [[nodiscard]] E choice(E last) {
        const auto n = in_.get<std::uint8_t>();
        if (n > static_cast<std::uint8_t>(last)) {
            in_.fail();
            return E{};
        }
        return static_cast<E>(n);
    }

    // At first they had no numbers.
    [[nodiscard]] vhost_definition vhost() {
        vhost_definition d;
        d.name = text();
        if (whole_ && !in_.at_end()) {
            d.number = in_.get<std::uint32_t>();
            if (d.number == 0) {
                in_.fail();  // it would not be there
            }
        }
        return d;
    }
    [[nodiscard]] user_definition user() {
        user_definition d;
        d.name = text();
        if (whole_) {
            d.password_hash = text();
            const auto tags = in_.get_count(sizeof(std::uint32_t));
            for (std::uint32_t i = 0; i < tags; ++i) {
                d.tags.push_back(text());
            }
            d.loopback_only = in_.get_flag();
        }
        return d;
    }
    [[nodiscard]] permission_definition permission() {
        permission_definition d;
        d.vhost = text();
        d.user = text();
        if (whole_) {
            d.patterns.configure = text();
            d.patterns.write = text();
            d.patterns.read = text();
        }
        return d;
    }
    [[nodiscard]] topic_permission_definition topic_permission() {
        topic_permission_definition d;
        d.vhost = text();
        d.user = text();
        d.exchange = text();
        if (whole_) {
            d.patterns.write = text();
            d.patterns.read = text();
        }
        return d;
    }
    [[nodiscard]] policy_definition a_policy() {
        policy_definition d;
        d.vhost = text();
        d.kind = choice(policy_kind::operators);
        d.what.name = text();
        if (whole_) {
            d.what.pattern = text();
            d.what.apply_to = choice(policy_scope::exchanges);
            d.what.priority = in_.get<std::int64_t>();
            d.what.definition = decode_table(in_);
        }
        return d;
    }
    [[nodiscard]] parameter_definition parameter() {
        parameter_definition d;
        d.vhost = text();
        d.component = text();
        d.name = text();
        if (whole_) {
            d.json = text();
        }
        return d;
    }
    [[nodiscard]] exchange_definition exchange() {
        exchange_definition d;
        d.vhost = text();
        d.name = text();
        if (whole_) {
            d.type = text();
            d.auto_delete = in_.get_flag();
            d.internal = in_.get_flag();
            d.arguments = decode_table(in_);
        }
        return d;
    }
    [[nodiscard]] queue_definition queue() {
        queue_definition d;
        d.vhost = text();
        d.name = text();
        if (whole_) {
            d.auto_delete = in_.get_flag();
            d.uid = in_.get<owner_uid>();
            d.log = in_.get<std::uint16_t>();
            d.arguments = decode_table(in_);
        }
        return d;
    }
    [[nodiscard]] binding_definition binding() {
        binding_definition d;
        d.vhost = text();
        d.source = text();
        d.destination = text();
        d.kind = choice(bind_destination::exchange);
        d.routing_key = text();
        d.hide_dollar = in_.get_flag();
        d.arguments = decode_table(in_);
        return d;
    }
    [[nodiscard]] note_definition note() {
        note_definition d;
        d.name = text();
        if (whole_) {
            d.text = text();
        }
        return d;
    }

    [[nodiscard]] std::optional<std::int64_t> limit() {
        const bool there = in_.get_flag();
        const auto most = in_.get<std::int64_t>();
        if (!there && most != 0) {
            in_.fail();
        }
        return there ? std::optional(most) : std::nullopt;
    }
    [[nodiscard]] vhost_limits_definition limits() {
        vhost_limits_definition d;
        d.vhost = text();
        if (whole_) {
            d.limits.connections_max = limit();
            d.limits.queues_max = limit();
        }
        return d;
    }

    byte_reader& in_;
    bool whole_;
};

[[nodiscard]] std::string as_text(std::span<const std::uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

topology_record kind_of(const definition& d) noexcept {
    // In the order of the variant.
    return static_cast<topology_record>(d.index() + 1);
}
static_assert(std::is_same_v<std::variant_alternative_t<0, definition>, vhost_definition>);
static_assert(
    std::is_same_v<std::variant_alternative_t<static_cast<std::size_t>(topology_record::vhost_limits) - 1, definition>,
                   vhost_limits_definition>);

std::string key_of(const definition& d) {
    byte_writer out;
    out.put(static_cast<std::uint8_t>(kind_of(d)));
    std::visit(key_writer{out}, d);
    return as_text(out.bytes());
}

std::string vhost_key_prefix(topology_record kind, std::string_view vhost) {
    byte_writer out;
    out.put(static_cast<std::uint8_t>(kind));
    out.put_text(vhost);
    return as_text(out.bytes());
}

void encode(byte_writer& out, topology_change change, const definition& d) {
    out.put(format_version);
    out.put(static_cast<std::uint8_t>(change));
    std::visit(key_writer{out}, d);
    if (change == topology_change::defined) {
        std::visit(rest_writer{out}, d);
    }
}

std::optional<changed_definition> decode_definition(std::uint8_t kind, std::span<const std::uint8_t> payload) {
    byte_reader in(payload);
    const auto version = in.get<std::uint8_t>();
    const bool defined = in.get_flag();
    const bool known = kind >= static_cast<std::uint8_t>(topology_record::vhost) &&
                       kind <= static_cast<std::uint8_t>(topology_record::vhost_limits);
    if (!in.ok() || version != format_version || !known) {
        return std::nullopt;
    }
    const auto change = defined ? topology_change::defined : topology_change::removed;
    changed_definition read{change, definition_reader(in, change).read(static_cast<topology_record>(kind))};
    if (!in.ok() || !in.at_end()) {
        return std::nullopt;
    }
    return read;
}

}  // namespace linnet::core

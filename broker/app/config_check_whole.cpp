#include "broker/app/config_check.hpp"

#include "broker/app/certificate_check.hpp"
#include "broker/app/config_values.hpp"
#include "broker/app/edit_distance.hpp"
#include "broker/app/password.hpp"
#include "broker/core/topology.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace linnet::app {
namespace {

class whole {
public:
    whole(config& values, const places& where, std::vector<placed_error>& errors, std::vector<std::string>& warnings)
        : values_{values}, where_{where}, errors_{errors}, warnings_{warnings} {}

    void check() {
        check_listeners();
        check_certificates(values_.tls, "tls");
        check_tokens();
        check_tenants();
        check_references();
        check_compatibility();
    }

private:
    // The nearest place that was really written: the key's own, else its element's or table's.
    [[nodiscard]] position place(std::string path) const {
        for (;;) {
            if (const auto it = where_.find(path); it != where_.end()) {
                return it->second;
            }
            const auto dot = path.rfind('.');
            if (dot == std::string::npos) {
                return {};
            }
            path.resize(dot);
        }
    }

    [[nodiscard]] bool said(const std::string& path) const { return where_.find(path) != where_.end(); }

    void report(const std::string& path, std::string_view what) {
        errors_.push_back({place(path), fmt::format("{}: {}", path, what)});
    }

    // ---- Listeners and certificates ------------------------------------------------------------

    void check_listeners() {
        if (values_.listeners.empty()) {
            add_listener(listener_protocol::amqp, 5672, std::nullopt);
            add_listener(listener_protocol::mqtt, 1883, std::nullopt);
            add_listener(listener_protocol::http, 15672, std::nullopt);
            add_listener(listener_protocol::http, 15675, std::nullopt);  // where Web MQTT clients look
            add_listener(listener_protocol::metrics, 15692, std::nullopt);
            if (!values_.tls.cert_file.empty()) {
                add_listener(listener_protocol::amqps, 5671, values_.tls);
                add_listener(listener_protocol::mqtts, 8883, values_.tls);
                add_listener(listener_protocol::https, 15671, values_.tls);
            }
        }
        for (std::size_t i = 0; i < values_.listeners.size(); ++i) {
            check_listener(values_.listeners[i], fmt::format("listener[{}]", i));
        }
        check_binds();
    }

    void add_listener(listener_protocol protocol, std::uint16_t port, const std::optional<tls_config>& tls) {
        values_.listeners.push_back({"", protocol, {"0.0.0.0", port}, tls});
    }

    void check_listener(listener_config& listener, const std::string& path) {
        // It was opened with a copy of [tls]; `tls = false` took it away.
        const auto plain = in_the_clear(listener.protocol);
        if (listener.protocol != plain && !listener.tls) {
            report(path + ".tls", fmt::format("{} is {} over TLS; write protocol = \"{}\" for a plain listener",
                                              name(listener.protocol), name(plain), name(plain)));
        } else if (listener.protocol == plain && listener.tls && said(path + ".tls")) {
            listener.protocol = over_tls(plain);
        } else if (listener.protocol == plain) {
            listener.tls.reset();
        }
        if (listener.tls) {
            if (listener.tls->cert_file.empty()) {
                report(path, "TLS needs a certificate: set tls.cert_file and tls.key_file");
            } else if (!(*listener.tls == values_.tls)) {
                check_certificates(*listener.tls, path + ".tls");
            }
        }
        if (listener.name.empty()) {
            listener.name = fmt::format("{} {}", name(listener.protocol), format_bind_address(listener.bind));
        }
    }

    void check_binds() {
        for (std::size_t i = 0; i < values_.listeners.size(); ++i) {
            const auto& bind = values_.listeners[i].bind;
            for (std::size_t j = 0; j < i && bind.port != 0; ++j) {
                if (values_.listeners[j].bind == bind) {
                    report(fmt::format("listener[{}].bind", i),
                           fmt::format("\"{}\" is taken by listener[{}]", format_bind_address(bind), j));
                }
            }
        }
    }

    void check_certificates(const tls_config& tls, const std::string& path) {
        if (tls.cert_file.empty() != tls.key_file.empty()) {
            const auto* given = tls.cert_file.empty() ? ".key_file" : ".cert_file";
            const auto* missing = tls.cert_file.empty() ? "cert_file" : "key_file";
            report(path + given, fmt::format("needs \"{}\" beside it", missing));
        }
        if (tls.verify != tls_verify::none && tls.ca_file.empty()) {
            report(path + ".verify", "needs \"ca_file\": the authorities to check clients against");
        }
        const auto problems = check_certificate_files(tls.cert_file, tls.key_file, tls.key_password, tls.ca_file);
        check_file(tls.cert_file, problems.cert, path + ".cert_file");
        check_file(tls.key_file, problems.key, path + ".key_file");
        check_file(tls.ca_file, problems.ca, path + ".ca_file");
    }

    void check_file(const std::string& file, const std::string& problem, const std::string& path) {
        auto why = std::string{};
        if (!file.empty() && !read_file(file, why)) {
            report(path, fmt::format("\"{}\" cannot be read: {}", file, why));
        } else if (!problem.empty()) {
            report(path, fmt::format("\"{}\" {}", file, problem));
        }
    }

    // ---- Tokens --------------------------------------------------------------------------------

    void check_tokens() {
        constexpr std::size_t secret_bytes_min = 32;  // RFC 7518: no shorter than the digest
        const auto& t = values_.tokens;
        const bool symmetric = std::ranges::find(t.algorithms, token_algorithm::hs256) != t.algorithms.end();
        const bool asymmetric = std::ranges::any_of(t.algorithms, [](auto a) { return a != token_algorithm::hs256; });
        if (t.resource_server.empty()) {
            if (!t.jwks_file.empty() || !t.secret.empty()) {
                report("tokens.resource_server", "is needed: what a token's audience must name");
            }
            return;
        }
        if (symmetric != !t.secret.empty()) {
            report(symmetric ? "tokens.secret" : "tokens.algorithms",
                   symmetric ? "is needed for HS256" : "there is a secret, and HS256 is not among them");
        } else if (symmetric && t.secret.size() < secret_bytes_min) {
            report("tokens.secret", fmt::format("is shorter than {} bytes", secret_bytes_min));
        }
        if (asymmetric && t.jwks_file.empty()) {
            report("tokens.jwks_file", "is needed: the keys that tokens are checked with");
        } else if (!t.jwks_file.empty()) {
            auto why = std::string{};
            const auto text = read_file(t.jwks_file, why);
            const auto keys = text ? read_key_set(*text) : result<std::vector<token_key>, std::string>{};
            check_file(t.jwks_file, keys ? "" : keys.error(), "tokens.jwks_file");
        }
    }

    // ---- Users and vhosts ------------------------------------------------------------------------

    void check_tenants() {
        if (values_.vhosts.empty()) {
            values_.default_vhost = true;
            values_.vhosts.push_back({"/"});
        }
        if (values_.users.empty()) {
            values_.default_user = true;
            add_guest();
        }
        check_names(values_.vhosts, "vhost");
        check_names(values_.users, "user");
        for (std::size_t i = 0; i < values_.users.size(); ++i) {
            const auto& hash = values_.users[i].password_hash;
            if (!hash.empty() && !password_hash::parse(hash)) {
                report(fmt::format("user[{}].password_hash", i),
                       "is in no known form (Argon2id, RabbitMQ's base64, crypt)");
            }
        }
    }

    void add_guest() {
        values_.users.push_back(
            {std::string(first_user), salted_sha256(first_password), {"administrator"}, /*loopback_only=*/true});
        for (const auto& vhost : values_.vhosts) {
            const auto has = [&](const permission_config& p) { return p.user == first_user && p.vhost == vhost.name; };
            if (std::ranges::none_of(values_.permissions, has)) {
                values_.permissions.push_back({std::string(first_user), vhost.name, ".*", ".*", ".*"});
            }
        }
    }

    template <class T>
    void check_names(const std::vector<T>& elements, std::string_view section) {
        for (std::size_t i = 0; i < elements.size(); ++i) {
            if (elements[i].name.size() > core::name_bytes_max) {
                report(fmt::format("{}[{}].name", section, i),
                       fmt::format("is longer than {} bytes", core::name_bytes_max));
            }
        }
    }

    // ---- References ------------------------------------------------------------------------------

    template <class T>
    void check_reference(const std::string& name, const std::vector<T>& among, std::string_view kind,
                         const std::string& path) {
        if (name.empty() || std::ranges::find(among, name, &T::name) != among.end()) {
            return;  // an empty one is missing, and reported as such
        }
        auto names = std::vector<std::string_view>{};
        for (const auto& element : among) {
            names.push_back(element.name);
        }
        const auto meant = closest(name, names);
        report(path, fmt::format("there is no {} \"{}\"{}", kind, name,
                                 meant.empty() ? "" : fmt::format("; did you mean \"{}\"?", meant)));
    }

    template <class T>
    void check_vhosts_of(const std::vector<T>& elements, std::string_view section) {
        for (std::size_t i = 0; i < elements.size(); ++i) {
            check_reference(elements[i].vhost, values_.vhosts, "vhost", fmt::format("{}[{}].vhost", section, i));
        }
    }

    template <class T>
    void check_users_of(const std::vector<T>& elements, std::string_view section) {
        for (std::size_t i = 0; i < elements.size(); ++i) {
            check_reference(elements[i].user, values_.users, "user", fmt::format("{}[{}].user", section, i));
        }
    }

    void check_references() {
        check_users_of(values_.permissions, "permission");
        check_vhosts_of(values_.permissions, "permission");
        check_users_of(values_.topic_permissions, "topic_permission");
        check_vhosts_of(values_.topic_permissions, "topic_permission");
        check_vhosts_of(values_.policies, "policy");
        check_vhosts_of(values_.operator_policies, "operator_policy");
    }

    // ---- What we call ourselves ------------------------------------------------------------------

    // "3.13.7" -> {3, 13, 7}; clients parse it, some without care.
    static std::optional<std::array<std::uint32_t, 3>> parse_version(std::string_view text) {
        auto parts = std::array<std::uint32_t, 3>{};
        const auto* at = text.data();
        const auto* end = at + text.size();
        for (std::size_t i = 0; i < parts.size(); ++i) {
            if (i > 0 && (at == end || *at++ != '.')) {
                return std::nullopt;
            }
            const auto [rest, error] = std::from_chars(at, end, parts[i]);
            if (error != std::errc{}) {
                return std::nullopt;
            }
            at = rest;
        }
        return at == end ? std::optional{parts} : std::nullopt;
    }

    void check_compatibility() {
        auto& compat = values_.compat;
        const auto version = parse_version(compat.rabbitmq_version);
        if (!version) {
            report("compat.rabbitmq_version",
                   fmt::format("expected a version such as \"3.13.7\", got \"{}\"", compat.rabbitmq_version));
        } else if (*version >= std::array<std::uint32_t, 3>{4, 3, 0}) {
            warnings_.emplace_back("compat.rabbitmq_version is 4.3.0 or later: clients such as perf-test will "
                                   "declare durable queues where they were asked for transient ones");
        }
        if (compat.node_name.empty()) {
            auto host = std::array<char, 256>{};
            const bool known = gethostname(host.data(), host.size() - 1) == 0 && host.front() != '\0';
            compat.node_name = fmt::format("linnet@{}", known ? host.data() : "localhost");
        }
        if (compat.cluster_name.empty()) {
            compat.cluster_name = compat.node_name;
        }
    }

    config& values_;
    const places& where_;
    std::vector<placed_error>& errors_;
    std::vector<std::string>& warnings_;
};

}  // namespace

void check_whole(config& values, const places& where, std::vector<placed_error>& errors,
                 std::vector<std::string>& warnings) {
    whole{values, where, errors, warnings}.check();
}

}  // namespace linnet::app

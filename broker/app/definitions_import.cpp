#include "broker/app/definitions_import.hpp"

#include "broker/app/config_merge.hpp"
#include "broker/app/topology_setup.hpp"
#include "broker/base/assert.hpp"
#include "broker/base/log.hpp"
#include "broker/core/topology_nodes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

namespace linnet::app {

namespace {

// Brings one definition after the other into an editor and a journal.
class importer {
public:
    // `store`: whose records its arguments must fit into.
    importer(core::topology_editor& editor, core::topology_journal& journal, const core::topology_journal& store,
             const core::topology_journal::queue_maker& make)
        : editor_(editor), journal_(journal), store_(store), make_(make) {}

    void add(const placed_definition& d) {
        at_ = &d.at;
        std::visit(*this, d.what);
    }
    [[nodiscard]] import_result take() { return std::move(result_); }

    void operator()(const core::vhost_definition& d) { static_cast<void>(editor_.add_vhost(d.name)); }
    void operator()(const core::user_definition& d) { journal_.set(d); }
    void operator()(const core::note_definition& d) { journal_.set(d); }
    void operator()(const core::parameter_definition& d) {
        if (d.vhost.empty() || vhost(d.vhost)) {
            journal_.set(d);
        }
    }
    void operator()(const core::vhost_limits_definition& d) {
        if (const auto* v = vhost(d.vhost)) {
            check(editor_.set_vhost_limits(core::topology_view::id_of(*v), d.limits),
                  fmt::format("limits of vhost '{}'", d.vhost));
        }
    }
    void operator()(const core::policy_definition& d) {
        if (const auto* v = vhost(d.vhost)) {
            const auto id = core::topology_view::id_of(*v);
            auto done = d.kind == core::policy_kind::user ? editor_.set_policy(id, d.what)
                                                          : editor_.set_operator_policy(id, d.what);
            check(done, fmt::format("policy '{}' in vhost '{}'", d.what.name, d.vhost));
            for (auto& q : done ? *done : std::vector<core::queue_entry>{}) {
                std::erase_if(result_.changed, [&](const auto& other) { return other.handle == q.handle; });
                result_.changed.push_back(std::move(q));
            }
        }
    }
    void operator()(const core::exchange_definition& d) {
        const auto* v = vhost(d.vhost);
        if (v == nullptr) {
            return;
        }
        const bool there = core::topology_view::find_exchange(*v, d.name) != nullptr;
        core::declare_exchange x;
        x.name = d.name;
        x.type = d.type;
        x.durable = d.durable;
        x.auto_delete = d.auto_delete;
        x.internal = d.internal;
        x.arguments = d.arguments;
        declared(editor_.declare_exchange(core::topology_view::id_of(*v), x), there,
                 fmt::format("exchange '{}' in vhost '{}'", d.name, d.vhost), d.arguments);
    }
    void operator()(const core::queue_definition& d) {
        const auto* v = vhost(d.vhost);
        if (v == nullptr) {
            return;
        }
        const bool there = core::topology_view::find_queue(*v, d.name) != nullptr;
        core::declare_queue q;
        q.name = d.name;
        q.durable = d.durable;
        q.auto_delete = d.auto_delete;
        q.arguments = d.arguments;
        q.server_named = d.name.starts_with("amq.");
        auto checked = editor_.check_declare_queue(core::topology_view::id_of(*v), q, {});
        declared(checked, there, fmt::format("queue '{}' in vhost '{}'", d.name, d.vhost), d.arguments);
        if (auto* spec = checked ? std::get_if<core::queue_spec>(&*checked) : nullptr) {
            spec->uid = d.uid;
            const auto where = make_(*spec);
            editor_.add_queue(std::move(*spec), where);
        }
    }
    void operator()(const core::binding_definition& d) {
        if (vhost(d.vhost) == nullptr) {
            return;
        }
        const auto what = fmt::format("binding from '{}' to '{}' in vhost '{}'", d.source, d.destination, d.vhost);
        auto done = editor_.import_binding(d);
        // RabbitMQ exports no internal exchanges, but what is bound to them; nor does it mind at an import.
        if (!done && done.error().kind == core::error_kind::not_found) {
            result_.warnings.push_back(fmt::format("{} {} is left out: {}", at_->text(), what, done.error().text));
            return;
        }
        check(done, what);
    }
    void operator()(const core::permission_definition& d) {
        const auto* v = vhost(d.vhost);
        if (v != nullptr && user(d.user)) {
            check(editor_.set_permissions(d.user, core::topology_view::id_of(*v), d.patterns),
                  fmt::format("permission of '{}' in vhost '{}'", d.user, d.vhost));
        }
    }
    void operator()(const core::topic_permission_definition& d) {
        const auto* v = vhost(d.vhost);
        if (v != nullptr && user(d.user)) {
            check(editor_.set_topic_permissions(d.user, core::topology_view::id_of(*v), d.exchange, d.patterns),
                  fmt::format("topic permission of '{}' in vhost '{}'", d.user, d.vhost));
        }
    }

private:
    void report(std::string what) { result_.errors.push_back({at_->text(), std::move(what)}); }
    [[nodiscard]] const core::vhost_node* vhost(const std::string& name) {
        const auto* v = editor_.view().find_vhost(name);
        if (v == nullptr) {
            report(fmt::format("there is no vhost '{}'", name));
        }
        return v;
    }
    [[nodiscard]] bool user(const std::string& name) {
        const bool there = journal_.users().contains(name);
        if (!there) {
            report(fmt::format("there is no user '{}'", name));
        }
        return there;
    }
    template <class T>
    void check(const core::outcome<T>& done, const std::string& what) {
        if (!done) {
            report(fmt::format("{}: {}", what, done.error().text));
        }
    }
    template <class T>
    void declared(const core::outcome<T>& done, bool there, const std::string& what,
                  const core::value_table& arguments) {
        if (!done && there) {
            result_.warnings.push_back(fmt::format("{} {} is kept as it is: {}", at_->text(), what, done.error().text));
            return;
        }
        check(done, what);
        if (!store_.fits(arguments)) {
            report(fmt::format("{}: its arguments are larger than the store can keep", what));
        }
    }

    core::topology_editor& editor_;
    core::topology_journal& journal_;
    const core::topology_journal& store_;
    const core::topology_journal::queue_maker& make_;
    const position* at_ = nullptr;
    import_result result_;
};

[[nodiscard]] import_result bring_in(const definitions_document& what, importer to) {
    for (const auto& d : what) {
        to.add(d);
    }
    return to.take();
}

// Brings it into a copy, which can be spoilt. Tells of the queues that it would make, in their order.
[[nodiscard]] import_result try_out(const definitions_document& what, const core::topology_editor& editor,
                                    const core::topology_journal& journal, std::vector<core::queue_spec>& made) {
    // Of no shard that there is.
    constexpr core::shard_id nowhere{UINT16_MAX};
    const auto copy = editor.fork();
    core::topology_journal names(nullptr, {});
    for (const auto& [name, u] : journal.users()) {
        names.set(u);
    }
    const core::topology_journal::queue_maker make = [&](core::queue_spec& q) {
        made.push_back(q);
        return core::queue_handle{static_cast<std::uint32_t>(made.size()), 1, nowhere};
    };
    return bring_in(what, {*copy, names, journal, make});
}

// What was tried cannot fail.
[[nodiscard]] import_result apply(const definitions_document& what, core::topology_editor& editor,
                                  core::topology_journal& journal, const core::topology_journal::queue_maker& make) {
    auto done = bring_in(what, {editor, journal, journal, make});
    LINNET_ASSERT(done.errors.empty(), "what was tried fails: {}", done.errors.front().text());
    return done;
}

[[nodiscard]] std::string in_one_text(const std::vector<config_error>& errors) {
    constexpr std::size_t errors_max = 20;
    std::string text;
    for (std::size_t i = 0; i < std::min(errors.size(), errors_max); ++i) {
        text += (i == 0 ? "" : "\n") + errors[i].text();
    }
    return errors.size() <= errors_max ? text : fmt::format("{}\nand {} more", text, errors.size() - errors_max);
}

}  // namespace

import_result import_definitions(const definitions_document& what, core::topology_editor& editor,
                                 core::topology_journal& journal, const core::topology_journal::queue_maker& make) {
    std::vector<core::queue_spec> planned;
    if (auto tried = try_out(what, editor, journal, planned); !tried.errors.empty()) {
        return {std::move(tried.errors), std::move(tried.warnings), {}};  // what it changed was the copy's
    }
    return apply(what, editor, journal, make);
}

result<core::install, std::string> install_definitions(std::string_view text, const read_options& options,
                                                       std::function<void(const core::topology_journal&)> then) {
    auto read = read_definitions(text, options);
    if (!read) {
        return fail(in_one_text(read.error()));
    }
    // Functions are copied on their way.
    const auto what = std::make_shared<const definitions_document>(std::move(*read));
    return core::install{
        .plan = [what](const core::topology_editor& editor,
                       const core::topology_journal& journal) -> core::outcome<std::vector<core::queue_spec>> {
            std::vector<core::queue_spec> planned;
            if (auto tried = try_out(*what, editor, journal, planned); !tried.errors.empty()) {
                return fail(core::error{core::error_kind::precondition_failed, in_one_text(tried.errors)});
            }
            return planned;
        },
        .change =
            [what, then = std::move(then)](core::topology_editor& editor, core::topology_journal& journal,
                                           const std::vector<core::queue_entry>& made) {
                auto next = made.begin();
                auto done = apply(*what, editor, journal, [&](core::queue_spec& q) {
                    LINNET_ASSERT(next != made.end() && next->spec.name == q.name, "queue '{}' was not made", q.name);
                    q = next->spec;
                    return (next++)->handle;
                });
                for (const auto& w : done.warnings) {
                    log::warning({.domain = "admin"}, "{}", w);
                }
                then(journal);
                return core::administered{.changed = std::move(done.changed), .gone = {}};
            }};
}

std::vector<core::definition> all_definitions(const core::topology_editor& editor,
                                              const core::topology_journal& journal) {
    std::vector<core::definition> all;
    core::describe(editor, [&](const core::definition& d) { all.push_back(d); });
    for (const auto& [name, u] : journal.users()) {
        all.emplace_back(u);
    }
    for (const auto& [key, p] : journal.parameters()) {
        all.emplace_back(p);
    }
    return all;
}

std::vector<config_error> check_definitions_file(const config& c) {
    if (c.definitions.file.empty()) {
        return {};
    }
    std::string why;
    const auto text = read_file(c.definitions.file, why);
    if (!text) {
        return {{"definitions.file:", fmt::format("\"{}\" cannot be read: {}", c.definitions.file, why)}};
    }
    auto read = read_definitions(*text, {c.definitions.file});
    if (!read) {
        return std::move(read.error());
    }
    core::topology_editor editor;
    core::topology_journal journal(nullptr, {});
    static_cast<void>(configure(editor, journal, c));
    std::vector<core::queue_spec> planned;
    return try_out(*read, editor, journal, planned).errors;
}

}  // namespace linnet::app

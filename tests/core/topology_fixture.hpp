#pragma once

#include "broker/core/topology_editor.hpp"
#include "broker/core/topology_nodes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::core {

// An editor with one vhost "/", and short ways to say the usual things.
class topology_fixture : public testing::Test {
protected:
    [[nodiscard]] static value integer(std::int64_t n) { return {value_type::int32, n, 0}; }

    outcome<void> try_exchange(std::string_view name, std::string_view type, value_table arguments = {}) {
        declare_exchange x;
        x.name = name;
        x.type = type;
        x.arguments = std::move(arguments);
        return editor.declare_exchange(vhost, x);
    }
    void exchange(std::string_view name, std::string_view type, value_table arguments = {}) {
        const auto done = try_exchange(name, type, std::move(arguments));
        ASSERT_TRUE(done.has_value()) << done.error().text;
    }
    void auto_delete_exchange(std::string_view name, std::string_view type) {
        declare_exchange x;
        x.name = name;
        x.type = type;
        x.auto_delete = true;
        ASSERT_TRUE(editor.declare_exchange(vhost, x).has_value());
    }
    queue_handle queue(std::string_view name, value_table arguments = {}, shard_id shard = {}) {
        declare_queue q;
        q.name = name;
        q.arguments = std::move(arguments);
        return create(q, me, shard);
    }
    queue_handle create(const declare_queue& q, session_handle from, shard_id shard = {}) {
        auto checked = editor.check_declare_queue(vhost, q, from);
        if (!checked) {
            ADD_FAILURE() << checked.error().text;
            return {};
        }
        if (const auto* there = std::get_if<queue_entry>(&*checked)) {
            return there->handle;
        }
        const queue_handle h{next_slot++, 1, shard};
        editor.add_queue(std::get<queue_spec>(std::move(*checked)), h);
        return h;
    }
    outcome<void> try_bind(std::string_view source, std::string_view destination, std::string_view key,
                           value_table arguments = {}, bind_destination kind = bind_destination::queue,
                           pattern_syntax syntax = pattern_syntax::amqp) {
        return editor.bind(
            vhost,
            {std::string(source), std::string(destination), kind, std::string(key), std::move(arguments), syntax}, me);
    }
    void bind(std::string_view source, std::string_view destination, std::string_view key, value_table arguments = {},
              pattern_syntax syntax = pattern_syntax::amqp) {
        const auto done = try_bind(source, destination, key, std::move(arguments), bind_destination::queue, syntax);
        ASSERT_TRUE(done.has_value()) << done.error().text;
    }
    void bind_exchange(std::string_view source, std::string_view destination, std::string_view key) {
        const auto done = try_bind(source, destination, key, {}, bind_destination::exchange);
        ASSERT_TRUE(done.has_value()) << done.error().text;
    }
    fallen unbind(std::string_view source, std::string_view destination, std::string_view key,
                  value_table arguments = {}) {
        auto done = editor.unbind(vhost,
                                  {std::string(source), std::string(destination), bind_destination::queue,
                                   std::string(key), std::move(arguments), pattern_syntax::amqp},
                                  me);
        EXPECT_TRUE(done.has_value()) << done.error().text;
        return done ? *done : fallen{};
    }
    [[nodiscard]] const vhost_node& node() const { return *editor.view().find_vhost(vhost); }

    // The names of the queues reached, sorted.
    [[nodiscard]] std::vector<std::string> route(std::string_view exchange, std::string_view key) {
        route_input in;
        in.routing_key = key;
        return route(exchange, in);
    }
    [[nodiscard]] std::vector<std::string> route(std::string_view exchange, const route_input& in) {
        const exchange_node* x = topology_view::find_exchange(node(), exchange);
        if (x == nullptr) {
            ADD_FAILURE() << "no exchange " << exchange;
            return {};
        }
        notes = topology_view::route(node(), *x, in, *scratch);
        return names();
    }
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> out;
        for (const queue_handle h : topology_view::targets_of(*scratch)) {
            out.push_back(editor.find_queue(h)->spec.name);
        }
        std::ranges::sort(out);
        return out;
    }

    topology_editor editor;
    vhost_id vhost = editor.add_vhost("/");
    session_handle me{1, 1, {}};
    session_handle other{2, 1, {}};
    std::uint32_t next_slot = 0;
    route_scratch_ptr scratch = make_route_scratch();
    route_notes notes;
};

using names_of_queues = std::vector<std::string>;

}  // namespace linnet::core

# The routing table's part of the core; core's CMakeLists.txt includes it.
set(LINNET_TOPOLOGY_SOURCES
    access_grant.cpp address.cpp binding_node.cpp bindings.cpp declaration_checks.cpp equivalence.cpp exchange_arguments.cpp header_match.cpp policy_set.cpp publish_access.cpp
    queue_arguments.cpp queue_order.cpp rabbit_text.cpp regex.cpp route.cpp scope_grant.cpp standard_exchanges.cpp text_hash.cpp topic_tree.cpp topology.cpp
    topology_describe.cpp topology_editor.cpp topology_journal.cpp topology_record.cpp user_rules.cpp value_codec.cpp
    vhost_limits.cpp)
set(LINNET_TOPOLOGY_HEADERS
    access_grant.hpp address.hpp binding_node.hpp bindings.hpp byte_codec.hpp counted.hpp declaration_checks.hpp definitions.hpp equivalence.hpp exchange_arguments.hpp header_match.hpp
    persistent_map.hpp policy.hpp policy_set.hpp publish_access.hpp queue_arguments.hpp queue_order.hpp rabbit_text.hpp regex.hpp route_account.hpp route_scratch.hpp scope_grant.hpp
    stamp_set.hpp standard_exchanges.hpp text_hash.hpp topic_tree.hpp topology.hpp topology_describe.hpp topology_editor.hpp topology_journal.hpp topology_nodes.hpp topology_record.hpp topology_walk.hpp
    user_rules.hpp value_codec.hpp vhost_limits.hpp)
set(LINNET_TOPOLOGY_PRIVATE_DEPS pcre2-8)

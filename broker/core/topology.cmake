# The routing table's part of the core; core's CMakeLists.txt includes it.
set(LINNET_TOPOLOGY_SOURCES
    address.cpp binding_node.cpp bindings.cpp equivalence.cpp exchange_arguments.cpp header_match.cpp policy_set.cpp
    queue_arguments.cpp rabbit_text.cpp regex.cpp route.cpp text_hash.cpp topic_tree.cpp topology.cpp
    topology_editor.cpp user_rules.cpp)
set(LINNET_TOPOLOGY_HEADERS
    address.hpp binding_node.hpp bindings.hpp counted.hpp equivalence.hpp exchange_arguments.hpp header_match.hpp
    persistent_map.hpp policy.hpp policy_set.hpp queue_arguments.hpp rabbit_text.hpp regex.hpp route_scratch.hpp
    stamp_set.hpp text_hash.hpp topic_tree.hpp topology.hpp topology_editor.hpp topology_nodes.hpp topology_walk.hpp
    user_rules.hpp)
set(LINNET_TOPOLOGY_PRIVATE_DEPS pcre2-8)

# Tests of the routing table; core's CMakeLists.txt includes this file.
linnet_test(core_topology_test
    SOURCES access_rules_test.cpp address_test.cpp persistent_map_test.cpp policy_test.cpp queue_order_test.cpp route_account_test.cpp scope_grant_test.cpp topic_tree_test.cpp
            topology_declare_test.cpp topology_route_test.cpp topology_versions_test.cpp
    DEPS linnet::core)

# What is kept of it; over a log in memory.
linnet_test(core_topology_journal_test
    SOURCES control_durable_test.cpp topology_journal_test.cpp topology_record_test.cpp
    DEPS linnet::core linnet::store)

# What a queue can do beside keeping messages: delays, retries, deduplication, groups.
linnet_test(core_features_test
    SOURCES dedup_window_test.cpp delay_store_test.cpp durable_features_test.cpp group_lines_test.cpp
            queue_features_test.cpp retry_test.cpp
    DEPS linnet::core linnet::store)

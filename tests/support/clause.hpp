// The numbered statements of a specification that a test proves. A run's report carries them as properties of the
// test; tests/conformance/mqtt/table.py reads them from the sources, and fails where a statement has no test.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>

namespace linnet::test {

enum class specification : unsigned char { mqtt_3_1_1, mqtt_5 };
using enum specification;

inline void clause(specification of, std::initializer_list<std::string_view> ids) {
    const std::string name = of == mqtt_5 ? "MQTT 5 " : "MQTT 3.1.1 ";
    for (const auto id : ids) {
        ::testing::Test::RecordProperty(name + std::string(id), "proved");
    }
}

}  // namespace linnet::test

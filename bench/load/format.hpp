// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace linnet::load {

[[nodiscard]] std::string grouped(double number);              // 1,234,567
[[nodiscard]] std::string human_ns(std::uint64_t ns);          // 870 ns, 12.3 us, 4.56 ms, 1.20 s
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);    // 12.3 MB
[[nodiscard]] std::string json_text(const std::string& text);  // quoted and escaped
[[nodiscard]] std::string xml_text(const std::string& text);   // escaped

}  // namespace linnet::load

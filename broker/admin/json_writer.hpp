#pragma once

#include "broker/core/value.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::admin {

// Which members of a row are wanted: "name", "message_stats.publish_details.rate". Empty: all.
using column_list = std::vector<std::string>;

// Writes JSON straight into a text: no tree, whatever the size.
//
//     json_writer w(out);
//     w.object().member("name", name).key("arguments").object().end().end();
//
// With columns, members that nobody asked for are left out with all that is in them; those that are written must be
// asked for by their path from the outermost object.
//
// Bounds:  nests 64 deep.
// Fails:   cannot. Texts that are not UTF-8 are mended (json_text.hpp).
class json_writer {
public:
    explicit json_writer(std::string& out, const column_list* columns = nullptr) noexcept
        : out_(out), columns_(columns) {}
    json_writer(const json_writer&) = delete;
    json_writer& operator=(const json_writer&) = delete;

    json_writer& object();
    json_writer& array();
    json_writer& end();  // of whichever was begun last
    json_writer& key(std::string_view name);

    json_writer& text(std::string_view value);
    json_writer& number(std::uint64_t value);
    json_writer& number(std::int64_t value);
    json_writer& number(double value);
    json_writer& flag(bool value);
    json_writer& null();
    // JSON already.
    json_writer& raw(std::string_view json);
    json_writer& value(const core::value& v);
    json_writer& value(const core::value_table& t);

    json_writer& member(std::string_view name, std::string_view v) { return key(name).text(v); }
    json_writer& member(std::string_view name, const std::string& v) { return key(name).text(v); }
    json_writer& member(std::string_view name, const char* v) { return key(name).text(v); }
    json_writer& member(std::string_view name, bool v) { return key(name).flag(v); }
    json_writer& member(std::string_view name, double v) { return key(name).number(v); }
    json_writer& member(std::string_view name, std::uint64_t v) { return key(name).number(v); }
    json_writer& member(std::string_view name, std::uint32_t v) { return key(name).number(std::uint64_t{v}); }
    json_writer& member(std::string_view name, std::uint16_t v) { return key(name).number(std::uint64_t{v}); }
    json_writer& member(std::string_view name, std::int64_t v) { return key(name).number(v); }
    json_writer& member(std::string_view name, const core::value_table& v) { return key(name).value(v); }

private:
    struct level {
        bool is_object;
        bool empty = true;
        std::size_t path_bytes = 0;  // of the path to it
    };
    // False: what comes next is left out.
    [[nodiscard]] bool begin_value();
    void begin(bool is_object);
    [[nodiscard]] bool wanted() const noexcept;

    std::string& out_;
    const column_list* columns_;
    std::vector<level> levels_;
    std::string path_;
    std::uint32_t left_out_ = 0;  // levels of what is left out
    bool skip_next_ = false;
    bool after_key_ = false;
};

}  // namespace linnet::admin

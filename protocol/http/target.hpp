// A request's target, taken apart: the path's segments, each decoded by itself, and the query.
//
// The path is split before anything is decoded, so an encoded slash stays within its segment: /q/a%2Fb has the two
// segments `q` and `a/b`. Joining them with slashes again gives the path: `/` has one empty segment, /a/ has two.
// A segment that is . or .., written plainly or in escapes, is refused rather than resolved: two readers of one
// path must not disagree on what it names. Escapes may yield any byte but NUL.
//
// Owns:     the text of segments that had escapes. Everything else views the text given to parse().
#pragma once

#include "protocol/http/fault.hpp"
#include "protocol/http/query.hpp"

#include <span>
#include <vector>

namespace linnet::http {

class target {
public:
    target() = default;
    target(const target&) = delete;
    target& operator=(const target&) = delete;

    // Takes `/path?query`, `http://authority/path?query` and `*`. What was here before is forgotten, whatever comes
    // of it. nullopt when all is well.
    [[nodiscard]] std::optional<fault> parse(std::string_view text);
    void clear() noexcept;

    [[nodiscard]] std::string_view text() const noexcept { return text_; }
    [[nodiscard]] std::string_view path() const noexcept { return path_; }  // not decoded
    [[nodiscard]] std::span<const std::string_view> segments() const noexcept { return segments_; }
    [[nodiscard]] const query_view& query() const noexcept { return query_; }
    // Of a whole URI, host and port: it counts instead of the Host field. Else empty.
    [[nodiscard]] std::string_view authority() const noexcept { return authority_; }
    [[nodiscard]] bool is_asterisk() const noexcept { return text_ == "*"; }

private:
    std::optional<fault> split_origin(std::string_view rest);
    std::optional<fault> add_segment(std::string_view segment);

    std::string_view text_;
    std::string_view path_;
    std::string_view authority_;
    query_view query_;
    std::vector<std::string_view> segments_;
    std::string decoded_;
};

// Host and port as they may stand in a Host field or a URI: no user, no path, nothing that needs an escape.
[[nodiscard]] bool is_authority(std::string_view text) noexcept;

}  // namespace linnet::http

#include "clients/cli/event_stream.hpp"

#include "clients/cli/management.hpp"
#include "protocol/http/base64.hpp"
#include "protocol/http/request_writer.hpp"
#include "protocol/http/sse.hpp"

#include <algorithm>
#include <array>

namespace linnet::cli {
namespace {

constexpr std::string_view enclosed_mark = ";base64";

// A message that is no text lies within a line of JSON, and its event's name says so.
void open_enclosed(server_event& e) {
    if (!e.name.ends_with(enclosed_mark)) {
        return;
    }
    const auto said = json_value::parse(e.data, nullptr, false);
    auto body = said.is_object() ? http::base64_decoded(said.value("base64", "")) : std::nullopt;
    if (body) {
        e.name.resize(e.name.size() - enclosed_mark.size());
        e.data = std::move(*body);
    }
}

}  // namespace

// ---- The text ------------------------------------------------------------------------------------

void event_reader::add(std::string_view text, std::vector<server_event>& into) {
    for (const char c : text) {
        if (c == '\n' && std::exchange(after_return_, false)) {
            continue;  // the second half of a line end
        }
        after_return_ = c == '\r';
        if (c == '\n' || c == '\r') {
            end_line(into);
        } else {
            line_ += c;
        }
    }
}

void event_reader::end_line(std::vector<server_event>& into) {
    if (!line_.empty()) {
        take_field(line_);
        line_.clear();
        return;
    }
    if (std::exchange(has_data_, false)) {
        server_event e{id_, std::exchange(name_, {}), std::exchange(data_, {})};
        open_enclosed(e);
        into.push_back(std::move(e));
    }
    name_.clear();
}

void event_reader::take_field(std::string_view line) {
    const auto colon = std::min(line.find(':'), line.size());
    const auto field = line.substr(0, colon);
    auto value = line.substr(std::min(colon + 1, line.size()));
    value.remove_prefix(value.starts_with(' ') ? 1 : 0);
    if (field == "id") {
        id_ = value;
    } else if (field == "event") {
        name_ = value;
    } else if (field == "data") {
        data_ += has_data_ ? "\n" : "";
        data_ += value;
        has_data_ = true;
    }
}

// ---- The connection ------------------------------------------------------------------------------

result<std::unique_ptr<event_stream>> event_stream::open(const server_uri& uri, const std::string& target,
                                                         std::chrono::milliseconds timeout) {
    auto made = std::unique_ptr<event_stream>{new event_stream{uri, std::chrono::steady_clock::now() + timeout}};
    if (auto done = made->ask(target); !done) {
        return tl::unexpected{done.error()};
    }
    return made;
}

failure event_stream::broken(std::string why) const {
    return {exit_code::unreachable, fmt::format("{}: {}", at_.text(), std::move(why)), {}};
}

result<void> event_stream::ask(const std::string& target) {
    auto credentials = std::string{"Basic "};
    http::append_base64(credentials, at_.user.value_or("guest") + ':' + at_.password.value_or("guest"));
    const auto fields = std::vector<http::field>{{"Authorization", credentials}, {"Accept", http::event_stream_type}};
    auto request = std::string{};
    http::append_request(request, http::method::get, target, fmt::format("{}:{}", at_.host, at_.port), fields, "");
    auto error = connection_.connect(at_);
    if (error.empty()) {
        error = connection_.write(wire::as_bytes(request));
    }
    if (!error.empty()) {
        return tl::unexpected{broken(std::move(error))};
    }
    while (code_ == 0) {
        const auto more = read_on();
        if (!more) {
            return tl::unexpected{more.error()};
        }
        if (!*more) {
            return tl::unexpected{broken(stream::timed_out)};
        }
    }
    return {};
}

result<std::optional<server_event>> event_stream::next(std::chrono::milliseconds patience) {
    connection_.wait_until(std::chrono::steady_clock::now() + patience);
    while (come_.empty()) {
        const auto more = read_on();
        if (!more) {
            return tl::unexpected{more.error()};
        }
        if (!*more) {
            return std::nullopt;
        }
    }
    auto e = std::move(come_.back());
    come_.pop_back();
    return e;
}

result<bool> event_stream::read_on() {
    auto part = std::array<std::uint8_t, 16 * 1024>{};
    auto size = std::size_t{0};
    if (auto error = connection_.read(part, size); error == stream::timed_out) {
        return false;
    } else if (!error.empty()) {
        return tl::unexpected{broken(std::move(error))};
    }
    if (size == 0) {
        return tl::unexpected{broken("the server has ended the event stream")};
    }
    input_.append(wire::as_text({part.data(), size}));
    return take_input().map([] { return true; });
}

result<void> event_stream::take_input() {
    auto events = std::vector<server_event>{};
    for (;;) {
        const auto step = parser_.next(wire::as_bytes(input_));
        if (step.what == http::response_event::head && !parser_.response().is_interim()) {
            code_ = parser_.response().code;
        } else if (step.what == http::response_event::body && code_ == 200) {
            reader_.add(wire::as_text(step.body), events);
        } else if (step.what == http::response_event::body) {
            refusal_ += wire::as_text(step.body);
        } else if (step.what == http::response_event::refused) {
            return tl::unexpected{broken("this is not HTTP")};
        } else if (step.what == http::response_event::end && code_ == 200) {
            return tl::unexpected{broken("the server has ended the event stream")};
        } else if (step.what == http::response_event::end && code_ != 0) {
            const auto said = json_value::parse(refusal_, nullptr, false);
            const bool auth = code_ == 401 || code_ == 403;
            return fail(
                auth ? exit_code::auth : exit_code::failure,
                fmt::format("{}: {}", at_.text(),
                            said.is_object() ? said.value("detail", "") : fmt::format("HTTP status {}", code_)));
        }
        input_.erase(0, step.taken);
        if (step.what == http::response_event::need_more) {
            break;
        }
    }
    come_.insert(come_.begin(), std::make_move_iterator(events.rbegin()), std::make_move_iterator(events.rend()));
    return {};
}

}  // namespace linnet::cli

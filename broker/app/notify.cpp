#include "broker/app/notify.hpp"

#include "broker/app/config_values.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace linnet::app {
namespace {

// A line break would begin another assignment.
std::string one_line(std::string_view text) {
    auto line = std::string{text};
    std::ranges::replace_if(
        line, [](char c) { return c == '\n' || c == '\0'; }, ' ');
    return line;
}

int connect_datagram(std::string_view socket) {
    auto address = sockaddr_un{};
    address.sun_family = AF_UNIX;
    const bool abstract = socket.starts_with('@');
    if (socket.size() < 2 || (!abstract && !socket.starts_with('/')) || socket.size() >= sizeof(address.sun_path)) {
        return -1;
    }
    std::memcpy(address.sun_path, socket.data(), socket.size());
    if (abstract) {
        address.sun_path[0] = '\0';
    }
    // The length tells the end of an abstract name, which is not terminated.
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size() + (abstract ? 0 : 1));
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
        ::close(fd);
        return -1;
    }
    return fd;
}

std::string error_text(std::string_view what, const std::string& path) {
    return fmt::format("{} \"{}\": {}", what, path, std::strerror(errno));
}

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const auto written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return false;
        }
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

}  // namespace

notifier::notifier(std::string_view socket) : fd_{connect_datagram(socket)} {}

notifier::~notifier() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

std::string notifier::take_socket_from_environment() {
    const char* socket = std::getenv("NOTIFY_SOCKET");
    auto value = std::string{socket != nullptr ? socket : ""};
    ::unsetenv("NOTIFY_SOCKET");
    return value;
}

void notifier::send(std::string_view message) const {
    if (fd_ >= 0) {
        // Not waiting: a supervisor that does not read must not stop a reactor.
        static_cast<void>(::send(fd_, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    }
}

void notifier::ready(std::string_view text) const {
    send(fmt::format("READY=1\nSTATUS={}\nMAINPID={}", one_line(text), ::getpid()));
}

void notifier::status(std::string_view text) const { send(fmt::format("STATUS={}", one_line(text))); }

void notifier::reloading(mono_ns now) const { send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now / ns_per_us)); }

void notifier::stopping(std::string_view text) const { send(fmt::format("STOPPING=1\nSTATUS={}", one_line(text))); }

void notifier::watchdog() const { send("WATCHDOG=1"); }

void notifier::extend_timeout(mono_ns by) const { send(fmt::format("EXTEND_TIMEOUT_USEC={}", by / ns_per_us)); }

std::optional<mono_ns> watchdog_interval(std::string_view usec, std::string_view pid) {
    const auto interval = parse_integer(usec);
    if (!interval || *interval <= 0 || (!pid.empty() && parse_integer(pid) != std::int64_t{::getpid()})) {
        return std::nullopt;
    }
    return *interval * ns_per_us / 2;
}

std::string ports_json(const bound_addresses& addresses) {
    auto protocols = std::vector<std::string>{};
    for (const auto& [protocol, address] : addresses) {
        if (std::ranges::find(protocols, protocol) == protocols.end()) {
            protocols.push_back(protocol);
        }
    }
    auto out = std::string{"{"};
    for (const auto& protocol : protocols) {
        auto quoted = std::vector<std::string>{};
        for (const auto& [name, address] : addresses) {
            if (name == protocol) {
                quoted.push_back(fmt::format("\"{}\"", address));
            }
        }
        out += fmt::format("{}\"{}\":[{}]", out.size() > 1 ? "," : "", protocol, fmt::join(quoted, ","));
    }
    return out + "}\n";
}

std::string write_file_atomically(const std::string& path, std::string_view text) {
    const auto temporary = fmt::format("{}.{}.tmp", path, ::getpid());
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        return error_text("cannot create", temporary);
    }
    const bool written = write_all(fd, text);
    auto error = written ? std::string{} : error_text("cannot write", temporary);
    ::close(fd);
    if (written && std::rename(temporary.c_str(), path.c_str()) != 0) {
        error = error_text("cannot create", path);
    }
    if (!error.empty()) {
        ::unlink(temporary.c_str());
    }
    return error;
}

std::string pid_file::write(const std::string& path) {
    auto error = write_file_atomically(path, fmt::format("{}\n", ::getpid()));
    if (error.empty()) {
        path_ = path;
    }
    return error;
}

pid_file::~pid_file() { remove(); }

void pid_file::remove() {
    if (path_.empty()) {
        return;
    }
    auto pid = std::string{};
    auto stream = std::ifstream{path_};
    // A successor may have written its own meanwhile.
    if (std::getline(stream, pid) && pid == std::to_string(::getpid())) {
        ::unlink(path_.c_str());
    }
    path_.clear();
}

}  // namespace linnet::app

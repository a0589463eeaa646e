#include "broker/app/notify.hpp"
#include "tests/app/temporary_directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace linnet::app {
namespace {

using test::temporary_directory;
using ::testing::HasSubstr;

std::string told_in(const std::string& file) {
    auto stream = std::ifstream{file};
    return {std::istreambuf_iterator<char>{stream}, {}};
}

// The supervisor's end.
class datagram_socket {
public:
    explicit datagram_socket(std::string_view name) {
        auto address = sockaddr_un{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, name.data(), name.size());
        const bool abstract = name.front() == '@';
        if (abstract) {
            address.sun_path[0] = '\0';
        }
        fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        const auto length = offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0 : 1);
        EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(length)), 0);
    }
    ~datagram_socket() { ::close(fd_); }

    // Datagrams between local sockets arrive at once.
    std::string receive() const {
        auto buffer = std::array<char, 1024>{};
        const auto size = ::recv(fd_, buffer.data(), buffer.size(), 0);
        return size < 0 ? "nothing" : std::string{buffer.data(), static_cast<std::size_t>(size)};
    }

private:
    int fd_ = -1;
};

TEST(Notifier, SpeaksToASocketInTheFileSystem) {
    const auto directory = temporary_directory{};
    const auto path = directory.path("notify");
    const auto supervisor = datagram_socket{path};
    const auto to = notifier{path};
    EXPECT_TRUE(to.connected());
    to.ready("listening on 5672");
    EXPECT_EQ(supervisor.receive(), "READY=1\nSTATUS=listening on 5672\nMAINPID=" + std::to_string(::getpid()));
    to.status("42 %\nREADY=0");
    EXPECT_EQ(supervisor.receive(), "STATUS=42 % READY=0");
    to.reloading(1'234'567'890);
    EXPECT_EQ(supervisor.receive(), "RELOADING=1\nMONOTONIC_USEC=1234567");
    to.stopping("draining");
    EXPECT_EQ(supervisor.receive(), "STOPPING=1\nSTATUS=draining");
    to.watchdog();
    EXPECT_EQ(supervisor.receive(), "WATCHDOG=1");
    to.extend_timeout(3 * ns_per_s);
    EXPECT_EQ(supervisor.receive(), "EXTEND_TIMEOUT_USEC=3000000");
    EXPECT_EQ(supervisor.receive(), "nothing");
}

TEST(Notifier, SpeaksToAnAbstractSocket) {
    const auto name = "@linnet-test-" + std::to_string(::getpid());
    const auto supervisor = datagram_socket{name};
    notifier{name}.watchdog();
    EXPECT_EQ(supervisor.receive(), "WATCHDOG=1");
}

TEST(Notifier, WithoutASocketDoesNothing) {
    for (const auto& name : {std::string{}, std::string{"@"}, std::string{"relative"}, std::string{"/no/such/socket"},
                             '/' + std::string(200, 'x')}) {
        const auto to = notifier{name};
        EXPECT_FALSE(to.connected()) << name;
        to.ready("");
    }
}

TEST(Notifier, SurvivesASupervisorThatHasGone) {
    const auto name = "@linnet-test-gone-" + std::to_string(::getpid());
    auto supervisor = std::make_unique<datagram_socket>(name);
    const auto to = notifier{name};
    supervisor.reset();
    to.watchdog();
    to.watchdog();
}

TEST(Notifier, DoesNotWaitForASupervisorThatDoesNotRead) {
    const auto name = "@linnet-test-deaf-" + std::to_string(::getpid());
    const auto supervisor = datagram_socket{name};
    const auto to = notifier{name};
    for (int i = 0; i < 10'000; ++i) {
        to.watchdog();  // would block for ever once the queue is full
    }
    EXPECT_EQ(supervisor.receive(), "WATCHDOG=1");
}

TEST(Notifier, TakesItsSocketOutOfTheEnvironment) {
    ::setenv("NOTIFY_SOCKET", "@x", 1);
    EXPECT_EQ(notifier::take_socket_from_environment(), "@x");
    EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr);
    EXPECT_EQ(notifier::take_socket_from_environment(), "");
}

TEST(Watchdog, IsDueTwiceAnInterval) {
    const auto own = std::to_string(::getpid());
    EXPECT_EQ(watchdog_interval("30000000", own), 15 * ns_per_s);
    EXPECT_EQ(watchdog_interval("30000000", ""), 15 * ns_per_s);
    EXPECT_EQ(watchdog_interval("30000000", "1"), std::nullopt);
    EXPECT_EQ(watchdog_interval("", own), std::nullopt);
    EXPECT_EQ(watchdog_interval("0", own), std::nullopt);
    EXPECT_EQ(watchdog_interval("x", own), std::nullopt);
}

TEST(PortsFile, GroupsAddressesByProtocol) {
    const auto text = ports_json({{"amqp", "127.0.0.1:1"}, {"amqps", "127.0.0.1:2"}, {"amqp", "[::1]:3"}});
    EXPECT_EQ(text, "{\"amqp\":[\"127.0.0.1:1\",\"[::1]:3\"],\"amqps\":[\"127.0.0.1:2\"]}\n");
    EXPECT_EQ(nlohmann::json::parse(text)["amqp"][1], "[::1]:3");
    EXPECT_EQ(ports_json({}), "{}\n");
}

TEST(AtomicFile, ReplacesTheOldOneWhole) {
    const auto directory = temporary_directory{};
    const auto file = directory.write("ports.json", "something much longer than the new text");
    EXPECT_EQ(write_file_atomically(file, "new"), "");
    EXPECT_EQ(told_in(file), "new");
    auto count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator{directory.path()}) {
        ++count;
    }
    EXPECT_EQ(count, 1);  // nothing temporary is left
}

TEST(AtomicFile, SaysWhyItCannotBeWritten) {
    const auto directory = temporary_directory{};
    EXPECT_THAT(write_file_atomically(directory.path("none/ports.json"), "x"), HasSubstr("No such file or directory"));
    directory.write("taken/file", "");
    EXPECT_THAT(write_file_atomically(directory.path("taken"), "x"), HasSubstr("Is a directory"));
    EXPECT_FALSE(std::filesystem::exists(directory.path("taken." + std::to_string(::getpid()) + ".tmp")));
}

TEST(PidFile, IsRemovedAtTheEnd) {
    const auto directory = temporary_directory{};
    const auto path = directory.path("linnetd.pid");
    {
        auto file = pid_file{};
        EXPECT_EQ(file.write(path), "");
        EXPECT_EQ(told_in(path), std::to_string(::getpid()) + '\n');
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(PidFile, OfASuccessorIsLeftAlone) {
    const auto directory = temporary_directory{};
    const auto path = directory.path("linnetd.pid");
    {
        auto file = pid_file{};
        EXPECT_EQ(file.write(path), "");
        directory.write("linnetd.pid", "1\n");
    }
    EXPECT_EQ(told_in(path), "1\n");
}

}  // namespace
}  // namespace linnet::app

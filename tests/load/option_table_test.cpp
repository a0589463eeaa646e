#include "bench/load/option_table.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using namespace linnet::load;

outcome<options> parse(std::vector<std::string> arguments) { return parse_options(arguments); }

TEST(OptionTable, KnowsPerfTestsLetters) {
    const auto o = parse({"amqp", "-x",   "2",    "-y",  "3",   "-s",    "1000",
                          "-c",   "50",   "-q",   "100", "-A",  "10",    "-C",
                          "1000", "-D",   "2000", "-z",  "7.5", "-f",    "persistent,mandatory",
                          "-u",   "jobs", "-e",   "ex",  "-t",  "topic", "-k",
                          "key",  "-i",   "0.5",  "-ms", "-R",  "400"});
    ASSERT_TRUE(o) << o.error();
    EXPECT_EQ(o->producers, 2U);
    EXPECT_EQ(o->consumers, 3U);
    EXPECT_EQ(o->size, 1000U);
    EXPECT_EQ(o->confirm_window, 50U);
    EXPECT_EQ(o->prefetch, 100);
    EXPECT_EQ(o->multi_ack, 10U);
    EXPECT_EQ(o->producer_messages, 1000U);
    EXPECT_EQ(o->consumer_messages, 2000U);
    EXPECT_EQ(o->seconds, 7.5);
    EXPECT_TRUE(o->persistent && o->mandatory && o->use_millis);
    EXPECT_EQ(o->queue, "jobs");
    EXPECT_EQ(o->exchange, "ex");
    EXPECT_EQ(o->exchange_type, "topic");
    EXPECT_EQ(o->routing_key, "key");
    EXPECT_EQ(o->interval_seconds, 0.5);
    EXPECT_EQ(o->consumer_rate, 400);
    EXPECT_FALSE(o->auto_ack);
}

TEST(OptionTable, ReadsLettersOfSeveralCharactersAsOneWord) {
    const auto o = parse({"amqp", "-qp", "q-%d", "-qpf", "1", "-qpt", "10", "-a"});
    ASSERT_TRUE(o) << o.error();
    EXPECT_EQ(o->queue_pattern, "q-%d");
    EXPECT_EQ(o->queue_count(), 10U);
    EXPECT_EQ(o->prefetch, 0);
    EXPECT_TRUE(o->auto_ack);
}

TEST(OptionTable, TakesLongNamesWithOrWithoutEquals) {
    const auto o = parse({"amqp", "--producers=4", "--pin", "0,2", "--queue-args", "x-queue-type=quorum,x-max-length=5",
                          "--fail-if", "p99>5ms", "--fail-if=lost>0"});
    ASSERT_TRUE(o) << o.error();
    EXPECT_EQ(o->producers, 4U);
    EXPECT_EQ(o->pin, (std::vector<unsigned>{0, 2}));
    ASSERT_EQ(o->queue_arguments.size(), 2U);
    EXPECT_EQ(o->queue_arguments[1], (std::pair<std::string, std::string>{"x-max-length", "5"}));
    EXPECT_EQ(o->fail_if.size(), 2U);
}

TEST(OptionTable, ReadsRatesAndShares) {
    EXPECT_EQ(parse({"amqp", "-r", "1e5"})->rate, (rate_option{rate_option::unit::per_second, 100'000}));
    EXPECT_EQ(parse({"amqp", "-r", "50%"})->rate, (rate_option{rate_option::unit::percent_of_peak, 50}));
    EXPECT_EQ(parse({"latency", "-r", "0"})->rate, rate_option{});
    EXPECT_EQ(parse({"latency"})->rate, (rate_option{rate_option::unit::percent_of_peak, 50}));
}

TEST(OptionTable, RefusesWhatItCannotMean) {
    for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
             {"amqp", "--producer", "1"},
             {"amqp", "-x"},
             {"amqp", "-x", "one"},
             {"amqp", "-x", "1.5"},
             {"amqp", "-x", "-1"},
             {"amqp", "-x", "1 "},
             {"amqp", "-q", "65536"},
             {"amqp", "-r", "-5"},
             {"amqp", "-z", "nan"},
             {"amqp", "-f", "durable"},
             {"amqp", "-x", "0", "-y", "0"},
             {"amqp", "-qp", "no-number"},
             {"amqp", "-qp", "q%d", "-qpf", "5", "-qpt", "4"},
             {"amqp", "-q", "10", "-A", "11"},
             {"amqp", "-A", "0"},
             {"amqp", "--queue-args", "x"},
             {"amqp", "--churn", "sockets"},
             {"amqp", "--autoack=maybe"},
             {"amqp", "--in-flight", "5", "-y", "0"},
             {"topic", "--bindings", "0"},
             {"mqtt", "--uri", "amqp://localhost"},
             {"amqp", "--uri", "mqtt://localhost"},
             {"amqp", "--uri", "localhost"},
             {"mqtt", "--qos", "3"},
             {"mqtt", "--mqtt-version", "4"},
             {"mqtt", "--shared"},
             {"mqtt", "-y", "3", "-qp", "t%d", "-qpt", "2"},
             {"mqtt", "--consumers-per-connection", "2"},
             {"mqtt", "--producers-per-connection", "2"},
             {"amqp-mqtt", "-u", "a/b"},
             {"mqtt-amqp", "--uri", "mqtt://localhost"},
             {"churn", "--uri", "mqtt://localhost", "--churn", "queue"},
             {"http", "--uri", "amqp://localhost"},
             {"http", "-y", "1"},
             {"http", "--producers-per-connection", "2"},
             {"http", "--post-to", "pub?id=1"},
             {"sse", "--events-at", "sub"},
             {"sse", "--reads", "exchange"},
             {"sse", "--post-to", "rabbitmq"},
             {"sse", "--consumers-per-connection", "2"},
             {"sse", "-qp", "t%d", "-qpt", "2"},
             {"sse", "-y", "3", "-qp", "t%d", "-qpt", "2"},
             {"amqp-sse", "--uri", "mqtt://localhost"},
             {"amqp-sse", "--http-uri", "amqp://localhost"},
             {"mqtt-sse", "-u", "a/b"},
             {"latency", "--uri", "http://localhost", "-s", "16"},
             {"churn", "--uri", "http://localhost", "--churn", "channel"},
             {"kafka"},
         }) {
        EXPECT_FALSE(parse(wrong)) << wrong.back();
    }
}

TEST(OptionTable, NamesTheOptionThatIsWrong) {
    EXPECT_EQ(parse({"amqp", "-x", "one"}).error(), "--producers: 'one' is not a number");
    EXPECT_EQ(parse({"amqp", "-Z"}).error(), "unknown option '-Z'; see --help");
}

TEST(OptionTable, MqttConfirmsAsItsQualityDemands) {
    EXPECT_EQ(parse({"mqtt", "-c", "50"})->confirm_window, 0U);
    EXPECT_EQ(parse({"mqtt", "--qos", "1"})->confirm_window, 100U);
    EXPECT_EQ(parse({"mqtt", "--qos", "2", "-c", "50"})->confirm_window, 50U);
    EXPECT_EQ(parse({"mqtt"})->uri.port, "1883");
    EXPECT_EQ(parse({"mqtt-amqp", "--qos", "1"})->confirm_window, 100U);
    EXPECT_EQ(parse({"amqp-mqtt", "--qos", "1"})->confirm_window, 0U);
}

TEST(OptionTable, HttpHasAnAnswerForEachRequest) {
    const auto http = parse({"http"});
    ASSERT_TRUE(http) << http.error();
    EXPECT_EQ(http->uri.port, "15672");
    EXPECT_EQ(http->consumers, 0U);
    EXPECT_EQ(http->size, 32U);
    EXPECT_EQ(http->confirm_window, 1U);
    EXPECT_EQ(parse({"http", "-c", "16"})->confirm_window, 16U);
    EXPECT_EQ(parse({"sse"})->confirm_window, 1U);
    EXPECT_EQ(parse({"amqp-sse"})->confirm_window, 0U);
    EXPECT_EQ(parse({"mqtt-sse", "--qos", "1"})->confirm_window, 100U);
}

TEST(OptionTable, EventsAreStampedAsText) {
    for (const char* name : {"http", "sse", "amqp-sse", "mqtt-sse"})
        EXPECT_EQ(parse({name})->form(), stamp_form::text) << name;
    for (const char* name : {"amqp", "mqtt", "amqp-mqtt"})
        EXPECT_EQ(parse({name})->form(), stamp_form::binary) << name;
}

TEST(OptionTable, HelpMentionsEveryScenario) {
    const std::string help = help_text();
    for (const char* name : {"amqp", "fanout", "queues", "topic", "mqtt", "amqp-mqtt", "http", "sse", "amqp-sse",
                             "mqtt-sse", "latency", "conn", "churn", "self", "--fail-if"}) {
        EXPECT_NE(help.find(name), std::string::npos) << name;
    }
}

class WorkloadFile : public ::testing::Test {
protected:
    void TearDown() override { std::filesystem::remove(path); }
    outcome<options> load(const std::string& text, std::vector<std::string> more = {}) {
        std::ofstream{path} << text;
        more.insert(more.begin(), {"--workload", path});
        return parse(more);
    }

    const std::string path =
        (std::filesystem::temp_directory_path() / fmt::format("linnet-workload-{}.toml", ::getpid())).string();
};

TEST_F(WorkloadFile, SetsTheSameOptions) {
    const auto o = load("scenario = 'fanout'\nconsumers = 1_000\nautoack = false\nrate = '10%'\nflag = ['persistent']\n"
                        "consumers_per_connection = 100\ntime = 2.5\ndescription = 'x'\n");
    ASSERT_TRUE(o) << o.error();
    EXPECT_EQ(o->what, scenario::fanout);
    EXPECT_EQ(o->consumers, 1000U);
    EXPECT_FALSE(o->auto_ack);
    EXPECT_TRUE(o->persistent);
    EXPECT_EQ(o->consumers_per_connection, 100U);
    EXPECT_EQ(o->seconds, 2.5);
    EXPECT_EQ(o->rate.value, 10);
}

TEST_F(WorkloadFile, GivesWayToWhatComesBehindIt) {
    const auto o = load("scenario = 'amqp'\nsize = 16\n", {"--size", "64"});
    ASSERT_TRUE(o) << o.error();
    EXPECT_EQ(o->size, 64U);
}

TEST_F(WorkloadFile, SaysWhereItIsWrong) {
    EXPECT_EQ(load("scenario = 'amqp'\n\nsise = 16\n").error(), path + ":3: unknown option 'sise'");
    EXPECT_EQ(load("scenario = 'amqp'\nsize = -1\n").error(),
              path + ":2: --size: '-1' is not a whole number between 0 and 4294967295");
    EXPECT_TRUE(load("scenario = \n").error().starts_with(path));
    EXPECT_FALSE(parse({"--workload", "/nonexistent/file.toml"}));
}

}  // namespace

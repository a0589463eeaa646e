// The cases of the Autobahn test suite's fuzzing client, sections 1 to 7, 9, 10, 12 and 13, rebuilt: what its
// client sends, by case number, and what it must hear. Each runs with its bytes in one piece, octet by octet, in
// pieces of 997, and, where it is short, cut in two at every place.
//
// Sizes of section 9 and numbers of messages of 9.7, 9.8, 12 and 13 are a sixteenth or less of the original's. Each
// test ends by saying which cases it had to run, so that none is left out.
#include "protocol/ws/deflate_agreement.hpp"
#include "tests/protocol/ws_peer.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <tuple>
#include <utility>

namespace linnet::ws::test {
namespace {

struct situation {
    std::string id;
    bytes sent;
    transcript heard;
};

transcript said_after(const situation& s, const std::vector<std::size_t>& cuts) {
    echo_server server{{}};
    wire::bytes_view rest = s.sent;
    for (const std::size_t size : cuts) {
        server.receive(rest.first(size));
        rest = rest.subspan(size);
    }
    server.receive(rest);
    auto lines = heard_by_client(server.sent(), {});
    if (server.heard().broken_promise())
        lines.push_back("BROKEN PROMISE");
    return lines;
}

// The numbers of the cases that a test has run.
class case_numbers {
public:
    // "5.3, 5.4": several that differ only in how their bytes are cut. "": none of Autobahn's.
    void ran(std::string_view ids) {
        while (!ids.empty()) {
            const auto end = std::min(ids.find(", "), ids.size());
            ran_.emplace(ids.substr(0, end));
            ids.remove_prefix(std::min(end + 2, ids.size()));
        }
    }
    // Sections with the number of their last case; forgets what has run.
    void expect_all(std::initializer_list<std::pair<std::string_view, unsigned>> sections) {
        std::set<std::string> wanted;
        for (const auto& [section, last] : sections) {
            for (unsigned i = 1; i <= last; ++i)
                wanted.insert(numbered(section, i));
        }
        EXPECT_EQ(std::exchange(ran_, {}), wanted);
    }
    static std::string numbered(std::string_view section, std::size_t number) {
        return std::string{section} + "." + std::to_string(number);
    }

private:
    std::set<std::string> ran_;
} cases;

void check(const situation& s) {
    SCOPED_TRACE("Autobahn case " + s.id);
    cases.ran(s.id);
    const std::size_t size = s.sent.size();
    EXPECT_EQ(said_after(s, {}), s.heard) << "in one piece";
    if (size <= 70'000) {
        EXPECT_EQ(said_after(s, std::vector<std::size_t>(size, 1)), s.heard) << "octet by octet";
    }
    EXPECT_EQ(said_after(s, std::vector<std::size_t>(size / 997, 997)), s.heard) << "in pieces of 997";
    if (size <= 400) {
        for (std::size_t cut = 1; cut < size; ++cut)
            ASSERT_EQ(said_after(s, {cut}), s.heard) << "cut at " << cut;
    }
}

void check_all(const std::vector<situation>& all) {
    for (const situation& each : all)
        check(each);
}

std::string bytes_of(std::string_view hex) {
    const bytes raw = from_hex(hex);
    return std::string{wire::as_text(raw)};
}

std::string repeat(std::size_t count, std::string_view what) {
    std::string out;
    while (count-- > 0)
        out += what;
    return out;
}

std::string closing(fault why) {
    return "close " + std::to_string(static_cast<unsigned>(close_code_of(why))) + " " + std::string{describe(why)};
}

TEST(Autobahn, Section1Framing) {
    unsigned number = 0;
    // The eighth is the seventh in pieces of 997, which all cases go through here.
    for (const std::size_t size : {0, 125, 126, 127, 128, 65535, 65536, 65536}) {
        ++number;
        const std::string stars(size, '*');
        const std::string octets(size, '\xFE');
        check(
            {case_numbers::numbered("1.1", number), text(stars) + close(1000), {"text " + shown(stars), "close 1000"}});
        check({case_numbers::numbered("1.2", number),
               binary(octets) + close(1000),
               {"binary " + shown(octets), "close 1000"}});
    }
    cases.expect_all({{"1.1", 8}, {"1.2", 8}});
}

TEST(Autobahn, Section2PingsAndPongs) {
    const std::string odd = bytes_of("00fffefdfcfb00ff");
    const std::string longest(125, '\xFE');
    bytes ten;
    transcript ten_pongs;
    for (int i = 0; i < 10; ++i) {
        ten = std::move(ten) + ping("payload-" + std::to_string(i));
        ten_pongs.push_back("pong payload-" + std::to_string(i));
    }
    check_all({
        {"2.1", ping(), {"pong "}},
        {"2.2", ping("Hello, world!"), {"pong Hello, world!"}},
        {"2.3", ping(odd), {"pong " + odd}},
        {"2.4, 2.6", ping(longest), {"pong " + longest}},
        {"2.5", ping(std::string(126, '\xFE')), {closing(fault::control_too_large)}},
        {"2.7", pong() + close(1000), {"close 1000"}},
        {"2.8", pong("unsolicited pong payload") + close(1000), {"close 1000"}},
        {"2.9", pong("unsolicited pong payload") + ping("ping payload"), {"pong ping payload"}},
        {"2.10, 2.11", ten, ten_pongs},
    });
    cases.expect_all({{"2", 11}});
}

TEST(Autobahn, Section3ReservedBits) {
    const std::string hello = "Hello, world!";
    const auto refusal = closing(fault::reserved_bits);
    check_all({
        {"3.1", frame(1, hello, true, 4), {refusal}},
        {"3.2", text(hello) + frame(1, hello, true, 2) + ping(), {"text " + hello, refusal}},
        {"3.3", text(hello) + frame(1, hello, true, 3) + ping(), {"text " + hello, refusal}},
        {"3.4", text(hello) + frame(1, hello, true, 4) + ping(), {"text " + hello, refusal}},
        {"3.5", frame(2, bytes_of("00fffefdfcfb00ff"), true, 5), {refusal}},
        {"3.6", frame(9, hello, true, 6), {refusal}},
        {"3.7", frame(8, bytes_of("03e8"), true, 7), {refusal}},
    });
    cases.expect_all({{"3", 7}});
}

TEST(Autobahn, Section4Opcodes) {
    const std::string hello = "Hello, world!";
    const auto refusal = closing(fault::opcode_reserved);
    check_all({
        {"4.1.1", frame(3, ""), {refusal}},
        {"4.1.2", frame(4, "reserved opcode payload"), {refusal}},
        {"4.1.3", text(hello) + frame(5, "") + ping(), {"text " + hello, refusal}},
        {"4.1.4", text(hello) + frame(6, hello) + ping(), {"text " + hello, refusal}},
        {"4.1.5", text(hello) + frame(7, hello) + ping(), {"text " + hello, refusal}},
        {"4.2.1", frame(11, ""), {refusal}},
        {"4.2.2", frame(12, "reserved opcode payload"), {refusal}},
        {"4.2.3", text(hello) + frame(13, "") + ping(), {"text " + hello, refusal}},
        {"4.2.4", text(hello) + frame(14, hello) + ping(), {"text " + hello, refusal}},
        {"4.2.5", text(hello) + frame(15, hello) + ping(), {"text " + hello, refusal}},
    });
    cases.expect_all({{"4.1", 5}, {"4.2", 5}});
}

TEST(Autobahn, Section5Fragmentation) {
    const bytes two = text("fragment1", not_final) + more("fragment2");
    const std::string whole = "text fragment1fragment2";
    const auto nothing_to_continue = closing(fault::continuation_unexpected);
    const bytes five = text("fragment1", not_final) + more("fragment2", not_final) + ping("pongme 1!") +
                       more("fragment3", not_final) + more("fragment4", not_final) + ping("pongme 2!") +
                       more("fragment5");
    check_all({
        {"5.1", frame(9, "fragment1", not_final) + more("fragment2"), {closing(fault::control_fragmented)}},
        {"5.2", frame(10, "fragment1", not_final) + more("fragment2"), {closing(fault::control_fragmented)}},
        {"5.3, 5.4, 5.5", two, {whole}},
        {"5.6, 5.7, 5.8",
         text("fragment1", not_final) + ping("ping payload") + more("fragment2"),
         {"pong ping payload", whole}},
        {"5.9, 5.10, 5.11", more("non-continuation payload") + text("Hello, world!"), {nothing_to_continue}},
        {"5.12, 5.13, 5.14",
         more("non-continuation payload", not_final) + text("Hello, world!"),
         {nothing_to_continue}},
        {"5.15", two + more("fragment3", not_final) + text("fragment4"), {whole, nothing_to_continue}},
        {"5.16",
         more("fragment1", not_final) + text("fragment2", not_final) + more("fragment3"),
         {nothing_to_continue}},
        {"5.17", more("fragment1") + text("fragment2", not_final) + more("fragment3"), {nothing_to_continue}},
        {"5.18", text("fragment1", not_final) + text("fragment2"), {closing(fault::message_interrupted)}},
        {"5.19, 5.20",
         five,
         {"pong pongme 1!", "pong pongme 2!", "text fragment1fragment2fragment3fragment4fragment5"}},
    });
    cases.expect_all({{"5", 20}});
}

// ---- Section 6: UTF-8 --------------------------------------------------------------------------

const std::string invalid = closing(fault::utf8_invalid);

TEST(Autobahn, Section6EmptyAndValidText) {
    const std::string greeting = "Hello-µ@ßöäüàá-UTF-8!!";
    const std::string kosme = bytes_of("cebae1bdb9cf83cebcceb5");
    check_all({
        {"6.1.1", text("") + close(1000), {"text ", "close 1000"}},
        {"6.1.2", text("", not_final) + more("", not_final) + more(""), {"text "}},
        {"6.1.3",
         text("", not_final) + more("middle frame payload", not_final) + more(""),
         {"text middle frame payload"}},
        {"6.2.1", text(greeting), {"text " + greeting}},
        {"6.2.2", text(greeting.substr(0, 12), not_final) + more(greeting.substr(12)), {"text " + greeting}},
        {"6.2.3", fragmented(1, greeting, 1), {"text " + greeting}},
        {"6.2.4", fragmented(1, kosme, 1), {"text " + kosme}},
    });
    cases.expect_all({{"6.1", 3}, {"6.2", 4}});
}

TEST(Autobahn, Section6InvalidTextFailsFast) {
    const std::string valid_part = bytes_of("cebae1bdb9cf83cebcceb5");
    const std::string whole = valid_part + bytes_of("eda080656469746564");
    // The message never ends: whoever waits for its end says nothing.
    check_all({
        {"6.3.1", text(whole), {invalid}},
        {"6.3.2", fragmented(1, whole, 1), {invalid}},
        {"6.4.1", text(valid_part, not_final) + more(bytes_of("f4908080"), not_final), {invalid}},
        {"6.4.2", text(valid_part + bytes_of("f4"), not_final) + more(bytes_of("90"), not_final), {invalid}},
    });
    // 6.4.3 and 6.4.4: within one frame, as soon as the first byte beyond U+10FFFF is there.
    const bytes all = text(valid_part + bytes_of("f4908080656469746564"));
    const std::size_t fatal = 6 + valid_part.size() + 2;
    echo_server server{{}};
    server.receive(wire::bytes_view{all}.first(fatal - 1));
    EXPECT_TRUE(server.sent().empty());
    server.receive(wire::bytes_view{all}.subspan(fatal - 1, 1));
    EXPECT_EQ(heard_by_client(server.sent(), {}), transcript{invalid}) << "Autobahn case 6.4.3, 6.4.4";
    cases.ran("6.4.3, 6.4.4");
    cases.expect_all({{"6.3", 2}, {"6.4", 4}});
}

enum class verdict_on_text { valid, invalid_text };
using enum verdict_on_text;

// A section's cases, in their order.
class sequences {
public:
    explicit sequences(std::string section) : section_(std::move(section)) {}
    sequences& are(verdict_on_text verdict, std::initializer_list<std::string_view> texts) {
        for (const std::string_view hex : texts) {
            SCOPED_TRACE(hex);
            const std::string payload = bytes_of(hex);
            check({case_numbers::numbered(section_, ++number_),
                   text(payload),
                   {verdict == valid ? "text " + payload : invalid}});
        }
        return *this;
    }

private:
    std::string section_;
    unsigned number_ = 0;
};

TEST(Autobahn, Section6Sequences) {
    const std::string kosme = "cebae1bdb9cf83cebcceb5";
    sequences("6.5").are(valid, {"68656c6c6f24776f726c64", "68656c6c6fc2a2776f726c64", "68656c6c6fe282ac776f726c64",
                                 "68656c6c6ff0a4ada2776f726c64", kosme});
    // 6.6: every prefix; a character is cut where its last byte is missing.
    sequences prefixes("6.6");
    for (std::size_t size = 1; size <= kosme.size() / 2; ++size) {
        const std::string_view prefix = std::string_view{kosme}.substr(0, 2 * size);
        const bool whole = size == 2 || size == 5 || size == 7 || size == 9 || size == 11;
        prefixes.are(whole ? valid : invalid_text, {prefix});
    }
    sequences("6.7").are(valid, {"00", "c280", "e0a080", "f0908080"});
    sequences("6.8").are(invalid_text, {"f888808080", "fc8480808080"});
    sequences("6.9").are(valid, {"7f", "dfbf", "efbfbf", "f48fbfbf"});
    sequences("6.10").are(invalid_text, {"f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf"});
    sequences("6.11").are(valid, {"ed9fbf", "ee8080", "efbfbd", "f48fbfbf"}).are(invalid_text, {"f4908080"});
    sequences("6.12").are(invalid_text,
                          {"80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80", "80bf80bf80bf",
                           "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabac"
                           "adaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbe"});
    sequences("6.13").are(
        invalid_text, {"c020c120c220c320c420c520c620c720c820c920ca20cb20cc20cd20ce20cf20d020d120d220d320d420d520d620"
                       "d720d820d920da20db20dc20dd20de20",
                       "e020e120e220e320e420e520e620e720e820e920ea20eb20ec20ed20ee20", "f020f120f220f320f420f520f620",
                       "f820f920fa20", "fc20"});
    sequences("6.14").are(invalid_text, {"c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf",
                                         "fbbfbfbf", "fdbfbfbfbf"});
    sequences("6.15").are(invalid_text, {"c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf"});
    sequences("6.16").are(invalid_text, {"fe", "ff", "fefeffff"});
    sequences("6.17").are(invalid_text, {"c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"});
    sequences("6.18").are(invalid_text, {"c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"});
    sequences("6.19").are(invalid_text, {"c080", "e08080", "f0808080", "f880808080", "fc8080808080"});
    sequences("6.20").are(invalid_text, {"eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"});
    sequences("6.21").are(invalid_text, {"eda080edb080", "eda080edbfbf", "edadbfedb080", "edadbfedbfbf", "edae80edb080",
                                         "edae80edbfbf", "edafbfedb080", "edafbfedbfbf"});
    sequences("6.22").are(valid, {"efbfbe",   "efbfbf",   "f09fbfbe", "f09fbfbf", "f0afbfbe", "f0afbfbf", "f0bfbfbe",
                                  "f0bfbfbf", "f18fbfbe", "f18fbfbf", "f19fbfbe", "f19fbfbf", "f1afbfbe", "f1afbfbf",
                                  "f1bfbfbe", "f1bfbfbf", "f28fbfbe", "f28fbfbf", "f29fbfbe", "f29fbfbf", "f2afbfbe",
                                  "f2afbfbf", "f2bfbfbe", "f2bfbfbf", "f38fbfbe", "f38fbfbf", "f39fbfbe", "f39fbfbf",
                                  "f3afbfbe", "f3afbfbf", "f3bfbfbe", "f3bfbfbf", "f48fbfbe", "f48fbfbf"});
    sequences("6.23").are(valid, {"efbfb9", "efbfba", "efbfbb", "efbfbc", "efbfbd", "efbfbe", "efbfbf"});
    cases.expect_all({{"6.5", 5},
                      {"6.6", 11},
                      {"6.7", 4},
                      {"6.8", 2},
                      {"6.9", 4},
                      {"6.10", 3},
                      {"6.11", 5},
                      {"6.12", 8},
                      {"6.13", 5},
                      {"6.14", 10},
                      {"6.15", 1},
                      {"6.16", 3},
                      {"6.17", 5},
                      {"6.18", 5},
                      {"6.19", 5},
                      {"6.20", 7},
                      {"6.21", 8},
                      {"6.22", 34},
                      {"6.23", 7}});
}

// ---- Section 7: closing ------------------------------------------------------------------------

TEST(Autobahn, Section7Closing) {
    const std::string large(256 * 1024, 'B');
    const std::string reason(123, '*');
    check_all({
        {"7.1.1", text("Hello World!") + close(1000), {"text Hello World!", "close 1000"}},
        {"7.1.2", close(1000) + close(1000), {"close 1000"}},
        {"7.1.3", close(1000) + ping("Hello World!"), {"close 1000"}},
        {"7.1.4", close(1000) + text("Hello World!"), {"close 1000"}},
        {"7.1.5", text("fragment1", not_final) + close(1000) + more("fragment2"), {"close 1000"}},
        {"7.1.6", text(large) + close(1000) + ping("Hello World!"), {"text " + shown(large), "close 1000"}},
        {"7.3.1", frame(8, ""), {"close 1005"}},
        {"7.3.2", frame(8, "a"), {closing(fault::close_too_short)}},
        {"7.3.3", close(1000), {"close 1000"}},
        {"7.3.4", close(1000, "Hello World!"), {"close 1000"}},
        {"7.3.5", close(1000, reason), {"close 1000"}},
        {"7.3.6", close(1000, reason + "*"), {closing(fault::control_too_large)}},
        {"7.5.1", close(1000, bytes_of("cebae1bdb9cf83cebcceb5eda080656469746564")), {invalid}},
    });
    unsigned number = 0;
    for (const unsigned code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999}) {
        check({case_numbers::numbered("7.7", ++number), close(code), {"close " + std::to_string(code)}});
    }
    // Codes that were registered since, and one that is never sent.
    for (const unsigned code : {1012, 1013, 1014}) {
        check({"", close(code), {"close " + std::to_string(code)}});
    }
    check({"", close(1015), {closing(fault::close_code_invalid)}});
    number = 0;
    for (const unsigned code : {0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999}) {
        check({case_numbers::numbered("7.9", ++number), close(code), {closing(fault::close_code_invalid)}});
    }
    number = 0;
    for (const unsigned code : {5000, 65535}) {
        check({case_numbers::numbered("7.13", ++number), close(code), {closing(fault::close_code_invalid)}});
    }
    cases.expect_all({{"7.1", 6}, {"7.3", 6}, {"7.5", 1}, {"7.7", 13}, {"7.9", 9}, {"7.13", 2}});
}

// ---- Sections 9 and 10: sizes ------------------------------------------------------------------

constexpr std::size_t reduction = 16;

TEST(Autobahn, Section9LargeMessages) {
    unsigned number = 0;
    for (const std::size_t kib : {64, 256, 1024, 4096, 8192, 16384}) {
        const std::string payload(kib * 1024 / reduction, 'B');
        ++number;
        check({case_numbers::numbered("9.1", number), text(payload), {"text " + shown(payload)}});
        check({case_numbers::numbered("9.2", number), binary(payload), {"binary " + shown(payload)}});
    }
    const std::string payload = repeat(4 * 1024 * 1024 / reduction / 8, "BAsd7&jh");
    number = 0;
    for (const std::size_t fragment : {64, 256, 1024, 4096, 16384, 65536, 131072, 196608, 262144}) {
        ++number;
        check({case_numbers::numbered("9.3", number), fragmented(1, payload, fragment), {"text " + shown(payload)}});
        check({case_numbers::numbered("9.4", number), fragmented(2, payload, fragment), {"binary " + shown(payload)}});
    }
    // One frame, in pieces of a size.
    const std::string million(1024 * 1024 / reduction, '*');
    number = 0;
    for (const std::size_t piece : {64, 128, 256, 512, 1024, 2048}) {
        ++number;
        for (const auto& [section, frames, word] :
             {std::tuple{"9.5", text(million), "text "}, std::tuple{"9.6", binary(million), "binary "}}) {
            const situation s{case_numbers::numbered(section, number), frames, {word + shown(million)}};
            SCOPED_TRACE("Autobahn case " + s.id);
            cases.ran(s.id);
            EXPECT_EQ(said_after(s, std::vector<std::size_t>(s.sent.size() / piece, piece)), s.heard);
        }
    }
    cases.expect_all({{"9.1", 6}, {"9.2", 6}, {"9.3", 9}, {"9.4", 9}, {"9.5", 6}, {"9.6", 6}});
}

TEST(Autobahn, Section9ManyMessages) {
    unsigned number = 0;
    for (const std::size_t size : {0, 16, 64, 256, 1024, 4096}) {
        const std::string payload(size, '*');
        bytes texts;
        bytes binaries;
        transcript text_lines;
        transcript binary_lines;
        for (int i = 0; i < 60; ++i) {
            texts = std::move(texts) + text(payload);
            binaries = std::move(binaries) + binary(payload);
            text_lines.push_back("text " + shown(payload));
            binary_lines.push_back("binary " + shown(payload));
        }
        ++number;
        check({case_numbers::numbered("9.7", number), texts, text_lines});
        check({case_numbers::numbered("9.8", number), binaries, binary_lines});
    }
    cases.expect_all({{"9.7", 6}, {"9.8", 6}});
}

TEST(Autobahn, Section10AutoFragmentation) {
    const std::string payload(65536, '*');
    check({"10.1.1", fragmented(1, payload, 1300), {"text " + shown(payload)}});
    cases.expect_all({{"10.1", 1}});
}

// ---- Sections 12 and 13: permessage-deflate ----------------------------------------------------

// What the original takes from a JSON file, a bitmap, a novel, a page, a PDF: data that compresses well, hardly, and
// somewhat. Text, since it is sent as such.
constexpr std::array kinds{"json", "bitmap", "novel", "page", "noise"};

std::string sample(std::string_view kind, std::size_t size, std::mt19937_64& random) {
    std::string out;
    while (out.size() < size) {
        if (kind == "json") {
            out += R"({"id":)" + std::to_string(random() % 1000) + R"(,"name":"sensor","values":[1,2,3]},)";
        } else if (kind == "bitmap") {
            out.append(random() % 60, static_cast<char>(random() % 3 * 40));
        } else if (kind == "page") {
            out += "<tr><td>" + std::to_string(random()) + "</td></tr>\n";
        } else if (kind == "noise") {
            out.push_back(static_cast<char>(random() & 0x7F));
        } else {
            constexpr std::array words{"habe", "nun", "ach", "Philosophie", "Juristerei", "und", "Medizin", "heißem"};
            out.append(words[random() % words.size()]).push_back(' ');
        }
    }
    while (out.size() > size && (static_cast<unsigned char>(out[size]) & 0xC0) == 0x80)
        ++size;
    out.resize(std::min(size, out.size()));
    return out;
}

// The sizes of sections 12 and 13, and into what they are fragmented; 0: not at all.
constexpr std::array<std::pair<std::size_t, std::size_t>, 18> sizes{{{16, 0},
                                                                     {64, 0},
                                                                     {256, 0},
                                                                     {1024, 0},
                                                                     {4096, 0},
                                                                     {8192, 0},
                                                                     {16384, 0},
                                                                     {32768, 0},
                                                                     {65536, 0},
                                                                     {131072, 0},
                                                                     {8192, 256},
                                                                     {16384, 256},
                                                                     {32768, 256},
                                                                     {65536, 256},
                                                                     {131072, 256},
                                                                     {131072, 1024},
                                                                     {131072, 4096},
                                                                     {131072, 32768}}};

// A client, given the answer to its offers, sends messages that are echoed compressed: all cases of a section, one
// after the other on one connection.
void check_compressed(const std::string& section, const std::vector<std::string_view>& offers,
                      const deflate_policy& policy, std::string_view kind) {
    SCOPED_TRACE("Autobahn cases " + section);
    const auto answer = agree_on_deflate(offers, policy);
    ASSERT_TRUE(std::holds_alternative<deflate_agreement>(answer));
    const auto& agreed = std::get<deflate_agreement>(answer);
    const auto context = [](bool keeps) { return keeps ? deflate_context::kept : deflate_context::reset_each_message; };

    std::mt19937_64 random{13};
    deflater client{{.window_bits = agreed.client_window_bits, .context = context(agreed.client_keeps_context)}};
    bytes sent;
    transcript heard;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        const auto [size, fragment] = sizes[i];
        for (int times = 0; times < 2; ++times) {
            const std::string payload = sample(kind, size, random);
            const auto packed = client.compress(wire::as_bytes(payload));
            bytes frames = fragmented(1, wire::as_text(packed), fragment == 0 ? packed.size() + 1 : fragment);
            frames[0] |= 0x40;
            sent = std::move(sent) + frames;
            heard.push_back("text " + shown(payload));
        }
        if (!section.empty())
            cases.ran(case_numbers::numbered(section, i + 1));
    }
    for (const std::size_t piece : {sent.size(), std::size_t{997}}) {
        deflater server{{.window_bits = agreed.server_window_bits, .context = context(agreed.server_keeps_context)}};
        echo_server echo{{.deflate = true,
                          .peer_keeps_context = agreed.client_keeps_context,
                          .peer_window_bits = agreed.client_window_bits},
                         &server};
        for (wire::bytes_view rest = sent; !rest.empty(); rest = rest.subspan(std::min(piece, rest.size())))
            echo.receive(rest.first(std::min(piece, rest.size())));
        EXPECT_EQ(heard_by_client(echo.sent(), {.deflate = true,
                                                .peer_keeps_context = agreed.server_keeps_context,
                                                .peer_window_bits = agreed.server_window_bits}),
                  heard)
            << kind << " in pieces of " << piece;
    }
}

constexpr deflate_policy with_contexts{.server_keeps_context = true, .client_keeps_context = true};

TEST(Autobahn, Section12Compression) {
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        check_compressed(case_numbers::numbered("12", i + 1), {"permessage-deflate; client_max_window_bits"},
                         with_contexts, kinds[i]);
        check_compressed("", {"permessage-deflate; client_max_window_bits"}, {}, kinds[i]);
    }
    cases.expect_all({{"12.1", 18}, {"12.2", 18}, {"12.3", 18}, {"12.4", 18}, {"12.5", 18}});
}

TEST(Autobahn, Section13CompressionParameters) {
    const std::vector<std::string_view> offers[] = {
        {"permessage-deflate; client_no_context_takeover; client_max_window_bits"},
        {"permessage-deflate; server_no_context_takeover; client_max_window_bits"},
        {"permessage-deflate; server_max_window_bits=9; client_max_window_bits"},
        {"permessage-deflate; server_max_window_bits=15; client_max_window_bits"},
        {"permessage-deflate; server_no_context_takeover; server_max_window_bits=9"},
        {"permessage-deflate; server_no_context_takeover; server_max_window_bits=15"},
        {"permessage-deflate; server_no_context_takeover; server_max_window_bits=9, "
         "permessage-deflate; server_no_context_takeover, permessage-deflate"},
    };
    unsigned number = 0;
    for (const auto& offer : offers)
        check_compressed(case_numbers::numbered("13", ++number), offer, with_contexts, "json");
    check_compressed("", {"permessage-deflate; client_no_context_takeover; client_max_window_bits"},
                     {.server_keeps_context = true, .client_keeps_context = true, .client_window_bits_max = 9},
                     "novel");
    cases.expect_all(
        {{"13.1", 18}, {"13.2", 18}, {"13.3", 18}, {"13.4", 18}, {"13.5", 18}, {"13.6", 18}, {"13.7", 18}});
}

}  // namespace
}  // namespace linnet::ws::test

#include "bench/load/http_messages.hpp"

#include "bench/load/format.hpp"
#include "bench/load/http_words.hpp"
#include "protocol/http/request_writer.hpp"

#include <fmt/format.h>

#include <vector>

namespace linnet::load {
namespace {

struct envelope {
    std::string before;
    std::string behind;
};

// The payload is digits and x: JSON takes it as it stands.
envelope rabbitmq_envelope(const std::string& key, const options& o) {
    return {fmt::format(R"({{"properties":{{"delivery_mode":{}}},"routing_key":{},"payload":")", o.persistent ? 2 : 1,
                        json_text(key)),
            R"(","payload_encoding":"string"})"};
}

}  // namespace

ready_messages http_messages(const plan& p, unsigned producer, const options& o, const broker_uri& uri) {
    const std::string host = host_of(uri);
    const std::string authorization = authorization_of(uri);
    const bool is_rabbitmq = o.post_to == "rabbitmq";
    std::vector<http::field> fields{{"Authorization", authorization},
                                    {"Content-Type", is_rabbitmq ? "application/json" : "text/plain"}};
    if (o.post_to == "linnet")
        fields.push_back({"Durability", o.persistent ? "stored" : "memory"});
    ready_messages messages{o};
    for (const target_plan& target : p.producers[producer].targets) {
        const envelope around = is_rabbitmq ? rabbitmq_envelope(target.key, o) : envelope{};
        const std::string path = publish_target(o, uri, p, target.key);
        messages.add(target.stream, [&](auto& block, const auto& body) {
            std::string text;
            http::append_request_head(text, http::method::post, path, host, fields,
                                      around.before.size() + body.size() + around.behind.size(), http::expect::nothing);
            text += around.before;
            const std::size_t payload_at = text.size();
            text.append(body.begin(), body.end());
            text += around.behind;
            block.insert(block.end(), text.begin(), text.end());
            return payload_at;
        });
    }
    return messages;
}

}  // namespace linnet::load

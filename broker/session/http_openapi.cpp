#include "broker/session/http_openapi.hpp"

namespace linnet::session {

// clang-format off
const std::string_view openapi_json =
R"json({
 "openapi": "3.0.3",
 "info": {
  "title": "Linnet",
  "description": "Messages through HTTP: the same exchanges, queues and topics that AMQP and MQTT reach.",
  "version": "1",
  "license": {
   "name": "See LICENSE"
  }
 },
 "servers": [{"url": "/v1"}],
 "security": [{"basic": []}, {"bearer": []}],
 "paths": {
  "/openapi.json": {
   "get": {
    "summary": "This document.",
    "responses": {
     "200": {"description": "OpenAPI 3.0.", "content": {"application/json": {"schema": {"type": "object"}}}},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   }
  },
  "/{vhost}/t/{topic}": {
   "parameters": [
    {"$ref": "#/components/parameters/Vhost"},
    {"$ref": "#/components/parameters/Topic"}
   ],
   "post": {
    "summary": "Publish to a topic.",
    "parameters": [
     {"$ref": "#/components/parameters/MessageId"},
     {"$ref": "#/components/parameters/CorrelationId"},
     {"$ref": "#/components/parameters/ReplyTo"},
     {"$ref": "#/components/parameters/Ttl"},
     {"$ref": "#/components/parameters/Priority"},
     {"$ref": "#/components/parameters/Type"},
     {"$ref": "#/components/parameters/AppId"},
     {"$ref": "#/components/parameters/Timestamp"},
     {"$ref": "#/components/parameters/Durability"},
     {"$ref": "#/components/parameters/IdempotencyKey"},
     {"$ref": "#/components/parameters/Prefer"}
    ],
    "requestBody": {"$ref": "#/components/requestBodies/Message"},
    "responses": {
     "200": {"description": "A batch: a line with status and id for each message.", "content": {"application/x-ndjson": {"schema": {"type": "string"}}}},
     "201": {"$ref": "#/components/responses/Published"},
     "202": {"description": "Taken, and not waited for."},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   },
   "put": {
    "summary": "Publish to a topic, and keep the message as its last value.",
    "parameters": [
     {"$ref": "#/components/parameters/MessageId"},
     {"$ref": "#/components/parameters/CorrelationId"},
     {"$ref": "#/components/parameters/ReplyTo"},
     {"$ref": "#/components/parameters/Ttl"},
     {"$ref": "#/components/parameters/Priority"},
     {"$ref": "#/components/parameters/Type"},
     {"$ref": "#/components/parameters/AppId"},
     {"$ref": "#/components/parameters/Timestamp"},
     {"$ref": "#/components/parameters/Durability"},
     {"$ref": "#/components/parameters/IdempotencyKey"},
     {"$ref": "#/components/parameters/Prefer"}
    ],
    "requestBody": {"$ref": "#/components/requestBodies/OneMessage"},
    "responses": {
     "201": {"$ref": "#/components/responses/Published"},
     "202": {"description": "Taken, and not waited for."},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   },
   "get": {
    "summary": "The last value of a topic; with Accept: text/event-stream what is published to it from now on.",
    "parameters": [
     {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}, "description": "The ETag that is known."}
    ],
    "responses": {
     "200": {"description": "The last value, its properties as fields.", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}, "text/event-stream": {"schema": {"type": "string"}}}},
     "304": {"description": "It is the one that is known."},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   },
   "delete": {
    "summary": "Forget the last value of a topic.",
    "responses": {
     "201": {"$ref": "#/components/responses/Published"},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   }
  },
  "/{vhost}/x": {
   "parameters": [
    {"$ref": "#/components/parameters/Vhost"}
   ],
   "get": {
    "summary": "The exchanges that the user may see.",
    "responses": {
     "200": {"$ref": "#/components/responses/Listing"},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   }
  },
  "/{vhost}/x/{exchange}": {
   "parameters": [
    {"$ref": "#/components/parameters/Vhost"},
    {"$ref": "#/components/parameters/Exchange"}
   ],
   "post": {
    "summary": "Publish to an exchange with an empty routing key.",
    "parameters": [
     {"$ref": "#/components/parameters/MessageId"},
     {"$ref": "#/components/parameters/CorrelationId"},
     {"$ref": "#/components/parameters/ReplyTo"},
     {"$ref": "#/components/parameters/Ttl"},
     {"$ref": "#/components/parameters/Priority"},
     {"$ref": "#/components/parameters/Type"},
     {"$ref": "#/components/parameters/AppId"},
     {"$ref": "#/components/parameters/Timestamp"},
     {"$ref": "#/components/parameters/Durability"},
     {"$ref": "#/components/parameters/IdempotencyKey"},
     {"$ref": "#/components/parameters/Prefer"}
    ],
    "requestBody": {"$ref": "#/components/requestBodies/Message"},
    "responses": {
     "200": {"description": "A batch: a line with status and id for each message.", "content": {"application/x-ndjson": {"schema": {"type": "string"}}}},
     "201": {"$ref": "#/components/responses/Published"},
     "202": {"description": "Taken, and not waited for."},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   }
  },
  "/{vhost}/x/{exchange}/{key}": {
   "parameters": [
    {"$ref": "#/components/parameters/Vhost"},
    {"$ref": "#/components/parameters/Exchange"},
    {"$ref": "#/components/parameters/Key"}
   ],
   "post": {
    "summary": "Publish to an exchange.",
    "parameters": [
     {"$ref": "#/components/parameters/MessageId"},
     {"$ref": "#/components/parameters/CorrelationId"},
     {"$ref": "#/components/parameters/ReplyTo"},
     {"$ref": "#/components/parameters/Ttl"},
     {"$ref": "#/components/parameters/Priority"},
     {"$ref": "#/components/parameters/Type"},
     {"$ref": "#/components/parameters/AppId"},
     {"$ref": "#/components/parameters/Timestamp"},
     {"$ref": "#/components/parameters/Durability"},
     {"$ref": "#/components/parameters/IdempotencyKey"},
     {"$ref": "#/components/parameters/Prefer"}
    ],
    "requestBody": {"$ref": "#/components/requestBodies/Message"},
    "responses": {
     "200": {"description": "A batch: a line with status and id for each message.", "content": {"application/x-ndjson": {"schema": {"type": "string"}}}},
     "201": {"$ref": "#/components/responses/Published"},
     "202": {"description": "Taken, and not waited for."},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   }
  },
  "/{vhost}/q": {
   "parameters": [
    {"$ref": "#/components/parameters/Vhost"}
   ],
   "get": {
    "summary": "The queues that the user may see.",
    "responses": {
     "200": {"$ref": "#/components/responses/Listing"},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   }
  },
  "/{vhost}/q/{queue}": {
   "parameters": [
    {"$ref": "#/components/parameters/Vhost"},
    {"$ref": "#/components/parameters/Queue"}
   ],
   "post": {
    "summary": "Publish to a queue.",
    "parameters": [
     {"$ref": "#/components/parameters/MessageId"},
     {"$ref": "#/components/parameters/CorrelationId"},
     {"$ref": "#/components/parameters/ReplyTo"},
     {"$ref": "#/components/parameters/Ttl"},
     {"$ref": "#/components/parameters/Priority"},
     {"$ref": "#/components/parameters/Type"},
     {"$ref": "#/components/parameters/AppId"},
     {"$ref": "#/components/parameters/Timestamp"},
     {"$ref": "#/components/parameters/Durability"},
     {"$ref": "#/components/parameters/IdempotencyKey"},
     {"$ref": "#/components/parameters/Prefer"}
    ],
    "requestBody": {"$ref": "#/components/requestBodies/Message"},
    "responses": {
     "200": {"description": "A batch: a line with status and id for each message.", "content": {"application/x-ndjson": {"schema": {"type": "string"}}}},
     "201": {"$ref": "#/components/responses/Published"},
     "202": {"description": "Taken, and not waited for."},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   },
   "get": {
    "summary": "Take messages.",
    "parameters": [
     {"name": "wait", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 60, "default": 0}, "description": "Seconds to wait for the first one."},
     {"name": "max", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000}, "description": "How many at most; if given the answer is a line of JSON a message."},
     {"name": "bytes", "in": "query", "schema": {"type": "integer", "default": 1048576}, "description": "Bodies beyond so many bytes are left for the next time."},
     {"name": "lease", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 43200, "default": 30}, "description": "Seconds before the message goes back to its queue. 0: what is told is done."}
    ],
    "responses": {
     "200": {"description": "Messages, with leases.", "headers": {"Lease": {"schema": {"type": "string"}, "description": "To be acknowledged by."}, "Delivery-Attempt": {"schema": {"type": "integer"}, "description": "1 for the first."}}, "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}, "application/x-ndjson": {"schema": {"type": "string"}}}},
     "204": {"description": "There was none."},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   }
  },
  "/{vhost}/q/{queue}/events": {
   "parameters": [
    {"$ref": "#/components/parameters/Vhost"},
    {"$ref": "#/components/parameters/Queue"}
   ],
   "get": {
    "summary": "A queue's messages, each for one of its readers; a stream's, for every reader.",
    "parameters": [
     {"name": "from", "in": "query", "schema": {"type": "string", "enum": ["first", "last", "next"], "default": "next"}, "description": "Where to begin in a stream."},
     {"name": "after", "in": "query", "schema": {"type": "string"}, "description": "Of a stream: the id of an event, or an offset, after which to go on."},
     {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}, "description": "The same, as browsers send it when they come back."},
     {"name": "event", "in": "query", "schema": {"type": "string"}, "description": "What events are called; without it by the message's type or content type."}
    ],
    "responses": {
     "200": {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   }
  },
  "/{vhost}/events": {
   "parameters": [
    {"$ref": "#/components/parameters/Vhost"}
   ],
   "get": {
    "summary": "What is published to topics from now on.",
    "parameters": [
     {"name": "topic", "in": "query", "schema": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 32}, "description": "Filters as MQTT writes them: + is one level, # the rest.", "required": true},
     {"name": "event", "in": "query", "schema": {"type": "string"}, "description": "What events are called."},
     {"name": "group", "in": "query", "schema": {"type": "string", "maxLength": 100}, "description": "Readers of one group share what is published to these topics; it waits for them for a week."},
     {"name": "after", "in": "query", "schema": {"type": "string"}, "description": "The id of an event: go on behind it. The latest events stay for those who come back within ten seconds; event gap says that some are gone."},
     {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}, "description": "The same, as a browser says it; it counts if both are there."}
    ],
    "responses": {
     "200": {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   }
  },
  "/{vhost}/rpc/{exchange}": {
   "parameters": [
    {"$ref": "#/components/parameters/Vhost"},
    {"$ref": "#/components/parameters/Exchange"}
   ],
   "post": {
    "summary": "Call a worker: any AMQP consumer that answers reply_to, any MQTT 5 client that answers its Response Topic.",
    "parameters": [
     {"name": "within", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 604800, "default": 3600}, "description": "Seconds that the worker has."},
     {"$ref": "#/components/parameters/MessageId"},
     {"$ref": "#/components/parameters/CorrelationId"},
     {"$ref": "#/components/parameters/ReplyTo"},
     {"$ref": "#/components/parameters/Ttl"},
     {"$ref": "#/components/parameters/Priority"},
     {"$ref": "#/components/parameters/Type"},
     {"$ref": "#/components/parameters/AppId"},
     {"$ref": "#/components/parameters/Timestamp"},
     {"$ref": "#/components/parameters/Durability"},
     {"$ref": "#/components/parameters/IdempotencyKey"},
     {"name": "Prefer", "in": "header", "schema": {"type": "string"}, "description": "wait=seconds: how long to wait for the answer."}
    ],
    "requestBody": {
     "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    },
    "responses": {
     "200": {"description": "The worker's answer, in time.", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
     "202": {"description": "Not in time: it will be at the Location.", "headers": {"Location": {"schema": {"type": "string"}, "description": "Of the answer."}}},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   }
  },
  "/{vhost}/rpc/{exchange}/{key}": {
   "parameters": [
    {"$ref": "#/components/parameters/Vhost"},
    {"$ref": "#/components/parameters/Exchange"},
    {"$ref": "#/components/parameters/Key"}
   ],
   "post": {
    "summary": "Call a worker: any AMQP consumer that answers reply_to, any MQTT 5 client that answers its Response Topic.",
    "parameters": [
     {"name": "within", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 604800, "default": 3600}, "description": "Seconds that the worker has."},
     {"$ref": "#/components/parameters/MessageId"},
     {"$ref": "#/components/parameters/CorrelationId"},
     {"$ref": "#/components/parameters/ReplyTo"},
     {"$ref": "#/components/parameters/Ttl"},
     {"$ref": "#/components/parameters/Priority"},
     {"$ref": "#/components/parameters/Type"},
     {"$ref": "#/components/parameters/AppId"},
     {"$ref": "#/components/parameters/Timestamp"},
     {"$ref": "#/components/parameters/Durability"},
     {"$ref": "#/components/parameters/IdempotencyKey"},
     {"name": "Prefer", "in": "header", "schema": {"type": "string"}, "description": "wait=seconds: how long to wait for the answer."}
    ],
    "requestBody": {
     "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    },
    "responses": {
     "200": {"description": "The worker's answer, in time.", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
     "202": {"description": "Not in time: it will be at the Location.", "headers": {"Location": {"schema": {"type": "string"}, "description": "Of the answer."}}},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   }
  },
  "/{vhost}/replies/{reply}": {
   "parameters": [
    {"$ref": "#/components/parameters/Vhost"},
    {"$ref": "#/components/parameters/Reply"}
   ],
   "get": {
    "summary": "The answer to a call; with Accept: text/event-stream its progress, and then the answer. Who reads too slowly misses the oldest progress, whose numbers are missing then.",
    "parameters": [
     {"name": "Prefer", "in": "header", "schema": {"type": "string"}, "description": "wait=seconds: how long to wait for it."},
     {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}, "description": "As browsers send it when they come back."}
    ],
    "responses": {
     "200": {"description": "The worker's answer, or events.", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}, "text/event-stream": {"schema": {"type": "string"}}}},
     "202": {"description": "Not yet."},
     "204": {"description": "There is nothing after that event."},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   },
   "delete": {
    "summary": "The answer is not wanted any more.",
    "responses": {
     "204": {"description": "It is gone."},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   }
  },
  "/{vhost}/leases/{lease}": {
   "parameters": [
    {"$ref": "#/components/parameters/Vhost"},
    {"$ref": "#/components/parameters/Lease"}
   ],
   "delete": {
    "summary": "The message is done.",
    "responses": {
     "204": {"description": "It is settled."},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   },
   "patch": {
    "summary": "Keep the message for longer.",
    "parameters": [
     {"name": "lease", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 43200, "default": 30}, "description": "Seconds before the message goes back to its queue. 0: what is told is done."}
    ],
    "responses": {
     "204": {"description": "The lease lasts from now on."},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   }
  },
  "/{vhost}/leases/{lease}/nack": {
   "parameters": [
    {"$ref": "#/components/parameters/Vhost"},
    {"$ref": "#/components/parameters/Lease"}
   ],
   "post": {
    "summary": "Give the message back.",
    "parameters": [
     {"name": "requeue", "in": "query", "schema": {"type": "boolean", "default": true}, "description": "false: it is dead-lettered, or dropped."}
    ],
    "requestBody": {
     "description": "With requeue=false: why, in one line of at most 1024 bytes. The dead letter has it as the header x-reject-reason.",
     "required": false,
     "content": {"text/plain": {"schema": {"type": "string", "maxLength": 1024}}}
    },
    "responses": {
     "204": {"description": "It is back, or rejected."},
     "default": {"$ref": "#/components/responses/Problem"}
    }
   }
  }
 },
)json"
R"json( "components": {
  "securitySchemes": {
   "basic": {"type": "http", "scheme": "basic"},
   "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
  },
  "requestBodies": {
   "Message": {
    "description": "The message. Fields X-H-<name> are headers of the application. application/x-ndjson: many, an object a line.",
    "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}, "application/x-ndjson": {"schema": {"$ref": "#/components/schemas/BatchItem"}}}
   },
   "OneMessage": {
    "description": "The message. Fields X-H-<name> are headers of the application.",
    "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}
   }
  },
  "parameters": {
   "Vhost": {"name": "vhost", "in": "path", "schema": {"type": "string"}, "description": "The vhost; / is written %2F.", "required": true},
   "Topic": {"name": "topic", "in": "path", "schema": {"type": "string"}, "description": "The topic: as many segments as it has levels.", "required": true},
   "Exchange": {"name": "exchange", "in": "path", "schema": {"type": "string"}, "description": "The exchange's name; amq.default is the one without a name.", "required": true},
   "Key": {"name": "key", "in": "path", "schema": {"type": "string"}, "description": "The routing key.", "required": true},
   "Queue": {"name": "queue", "in": "path", "schema": {"type": "string"}, "description": "The queue's name.", "required": true},
   "Reply": {"name": "reply", "in": "path", "schema": {"type": "string"}, "description": "The token that a Location has named.", "required": true},
   "Lease": {"name": "lease", "in": "path", "schema": {"type": "string"}, "description": "The lease's id.", "required": true},
   "MessageId": {"name": "Message-Id", "in": "header", "schema": {"type": "string"}, "description": "The message's id; made up if there is none."},
   "CorrelationId": {"name": "Correlation-Id", "in": "header", "schema": {"type": "string"}, "description": "What an answer is known by."},
   "ReplyTo": {"name": "Reply-To", "in": "header", "schema": {"type": "string"}, "description": "Where an answer is wanted."},
   "Ttl": {"name": "TTL", "in": "header", "schema": {"type": "number", "minimum": 0}, "description": "Seconds that the message may wait."},
   "Priority": {"name": "Priority", "in": "header", "schema": {"type": "integer", "minimum": 0, "maximum": 255}, "description": "The message's priority."},
   "Type": {"name": "Type", "in": "header", "schema": {"type": "string"}, "description": "The message's type."},
   "AppId": {"name": "App-Id", "in": "header", "schema": {"type": "string"}, "description": "The application that publishes."},
   "Timestamp": {"name": "Timestamp", "in": "header", "schema": {"type": "integer"}, "description": "Seconds since 1970."},
   "Durability": {"name": "Durability", "in": "header", "schema": {"type": "string", "enum": ["stored", "memory"], "default": "stored"}, "description": "What is asked for; the answer says what was achieved."},
   "IdempotencyKey": {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 200}, "description": "Done once for each key: repetitions get the first one's answer, for ten minutes; of a batch, if any of its messages was published. Repetitions of a call wait for the same answer, or get the same Location. It is the message's id, too, unless that has one; of a batch's messages with :1, :2 and so on."},
   "Prefer": {"name": "Prefer", "in": "header", "schema": {"type": "string"}, "description": "respond-async: 202 without waiting."}
  },
  "schemas": {
   "Problem": {
    "type": "object",
    "description": "RFC 9457.",
    "properties": {
     "status": {"type": "integer"},
     "title": {"type": "string"},
     "detail": {"type": "string"}
    }
   },
   "BatchItem": {
    "type": "object",
    "properties": {
     "body": {"type": "string"},
     "base64": {"type": "string"},
     "key": {"type": "string"},
     "content_type": {"type": "string"},
     "content_encoding": {"type": "string"},
     "message_id": {"type": "string"},
     "correlation_id": {"type": "string"},
     "reply_to": {"type": "string"},
     "type": {"type": "string"},
     "app_id": {"type": "string"},
     "ttl": {"type": "number"},
     "priority": {"type": "integer"},
     "timestamp": {"type": "integer"},
     "headers": {"type": "object", "additionalProperties": true}
    }
   }
  },
  "responses": {
   "Problem": {
    "description": "Why not.",
    "content": {
     "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }
   },
   "Published": {
    "description": "All of its queues have it; stored if Durability says so.",
    "headers": {
     "Message-Id": {"schema": {"type": "string"}, "description": "The message's id."},
     "Durability": {"schema": {"type": "string", "enum": ["stored", "memory"]}, "description": "What was achieved."}
    },
    "content": {
     "application/json": {"schema": {"type": "object", "properties": {"id": {"type": "string"}, "durability": {"type": "string"}}}}
    }
   },
   "Listing": {
    "description": "In the order of names.",
    "content": {
     "application/json": {"schema": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}, "type": {"type": "string"}, "durable": {"type": "boolean"}}}}}
    }
   }
  }
 }
}
)json";
// clang-format on

}  // namespace linnet::session

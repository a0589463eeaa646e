"""RabbitMQ as its guides recommend it for throughput: no busy waiting, larger socket buffers, no Nagle, warnings only
in the log, no heartbeats, no statistics.
"""

import rabbitmq

RABBITMQ_CONF = """
heartbeat = 0
log.connection.level = warning
log.channel.level = warning
log.queue.level = warning
vm_memory_high_watermark.relative = 0.8
disk_free_limit.absolute = 50MB
tcp_listen_options.nodelay = true
tcp_listen_options.backlog = 4096
tcp_listen_options.sndbuf = 196608
tcp_listen_options.recbuf = 196608
collect_statistics = none
"""


class TunedRabbitmq(rabbitmq.Rabbitmq):
    def __init__(self, erlang_flags, taskset, plugins=(), more_config=""):
        super().__init__(config=RABBITMQ_CONF + more_config, plugins=plugins, start_seconds=90, taskset=taskset)
        self.erlang_flags = erlang_flags

    def _environment(self):
        env = super()._environment()
        env["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] += (
            " +sbwt none +sbwtdcpu none +sbwtdio none " + self.erlang_flags)
        return env

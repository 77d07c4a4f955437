/* Made by scripts/native_layout.py (`make layout`): the classes marked `@share_layout`, and their fields in order.
   CLASS(name, first field, last field), then FIELD(name, field) for each. */

#ifndef OBS_LAYOUT_H
#define OBS_LAYOUT_H

#define LAYOUT(CLASS, FIELD) \
    CLASS(AccessLine, _expression, timestamp) \
        FIELD(AccessLine, _expression) FIELD(AccessLine, _names) FIELD(AccessLine, _redactor) \
        FIELD(AccessLine, _writers) FIELD(AccessLine, closing) FIELD(AccessLine, formatter) \
        FIELD(AccessLine, level) FIELD(AccessLine, plan) FIELD(AccessLine, timestamp) \
    CLASS(AccessLog, _line, may_wait) \
        FIELD(AccessLog, _line) FIELD(AccessLog, _look_again) FIELD(AccessLog, _redactor) \
        FIELD(AccessLog, may_wait) \
    CLASS(Exchange, info, _before) \
        FIELD(Exchange, info) FIELD(Exchange, _on_finish) FIELD(Exchange, _owner) FIELD(Exchange, method) \
        FIELD(Exchange, request_id) FIELD(Exchange, correlation_id) FIELD(Exchange, started_ns) \
        FIELD(Exchange, started) FIELD(Exchange, ids) FIELD(Exchange, active_key) FIELD(Exchange, is_sampled) \
        FIELD(Exchange, span) FIELD(Exchange, is_span_ours) FIELD(Exchange, context) FIELD(Exchange, route) \
        FIELD(Exchange, status) FIELD(Exchange, error) FIELD(Exchange, is_cancelled) \
        FIELD(Exchange, is_client_gone) FIELD(Exchange, request_bytes) FIELD(Exchange, response_bytes) \
        FIELD(Exchange, declared_bytes) FIELD(Exchange, carrier) FIELD(Exchange, routed) \
        FIELD(Exchange, time_to_first_byte) FIELD(Exchange, fields) FIELD(Exchange, details) \
        FIELD(Exchange, duration) FIELD(Exchange, outcome) FIELD(Exchange, error_type) \
        FIELD(Exchange, _before) \
    CLASS(Flusher, _forking, worker) \
        FIELD(Flusher, _forking) FIELD(Flusher, flushed) FIELD(Flusher, lock) FIELD(Flusher, queues) \
        FIELD(Flusher, worker) \
    CLASS(Gateway, _accept, time_ns) \
        FIELD(Gateway, _accept) FIELD(Gateway, _access_log) FIELD(Gateway, _app_pages) \
        FIELD(Gateway, _callers_id) FIELD(Gateway, _endpoints) FIELD(Gateway, _environment) \
        FIELD(Gateway, _excluded_paths) FIELD(Gateway, _exporters) FIELD(Gateway, _failures) \
        FIELD(Gateway, _health) FIELD(Gateway, _id_headers) FIELD(Gateway, _ids) FIELD(Gateway, _lifecycle) \
        FIELD(Gateway, _log_setup) FIELD(Gateway, _methods) FIELD(Gateway, _metrics) \
        FIELD(Gateway, _next_send) FIELD(Gateway, _on_finish) FIELD(Gateway, _on_finish_without_span) \
        FIELD(Gateway, _probes) FIELD(Gateway, _provider) FIELD(Gateway, _queue) FIELD(Gateway, _redactor) \
        FIELD(Gateway, _repeated) FIELD(Gateway, _runtime) FIELD(Gateway, _settings) FIELD(Gateway, _spans) \
        FIELD(Gateway, _starting) FIELD(Gateway, _tenancy) FIELD(Gateway, adapter_metrics) \
        FIELD(Gateway, context_headers) FIELD(Gateway, id_header_names) FIELD(Gateway, is_development) \
        FIELD(Gateway, path_prefix) FIELD(Gateway, paths) FIELD(Gateway, perf_counter) \
        FIELD(Gateway, prefix_of_path) FIELD(Gateway, response_header_names) FIELD(Gateway, time_ns) \
    CLASS(HistogramTable, _capacity, sums) \
        FIELD(HistogramTable, _capacity) FIELD(HistogramTable, _exemplar_cells) \
        FIELD(HistogramTable, _exemplars) FIELD(HistogramTable, _storage) FIELD(HistogramTable, cells) \
        FIELD(HistogramTable, counts) FIELD(HistogramTable, firsts) FIELD(HistogramTable, results) \
        FIELD(HistogramTable, routes) FIELD(HistogramTable, row_of) FIELD(HistogramTable, sums) \
    CLASS(HttpMetrics, _max_series, instruments) \
        FIELD(HttpMetrics, _max_series) FIELD(HttpMetrics, begin) FIELD(HttpMetrics, instruments) \
    CLASS(IdSource, _drawn, _node) \
        FIELD(IdSource, _drawn) FIELD(IdSource, _last) FIELD(IdSource, _mark) FIELD(IdSource, _node) \
    CLASS(Instruments, active, websockets) \
        FIELD(Instruments, active) FIELD(Instruments, buckets) FIELD(Instruments, bytes_buckets) \
        FIELD(Instruments, internal_errors) FIELD(Instruments, lock) FIELD(Instruments, max_rows) \
        FIELD(Instruments, number) FIELD(Instruments, overflow) FIELD(Instruments, plan) \
        FIELD(Instruments, refused) FIELD(Instruments, started) FIELD(Instruments, table) \
        FIELD(Instruments, websockets) \
    CLASS(RecordQueue, _batch, flusher) \
        FIELD(RecordQueue, _batch) FIELD(RecordQueue, _discard) FIELD(RecordQueue, _report) \
        FIELD(RecordQueue, _sinks) FIELD(RecordQueue, _waiting) FIELD(RecordQueue, flusher) \
    CLASS(RequestInfo, method, has_context_headers) \
        FIELD(RequestInfo, method) FIELD(RequestInfo, path) FIELD(RequestInfo, query) \
        FIELD(RequestInfo, scheme) FIELD(RequestInfo, header) FIELD(RequestInfo, peer) \
        FIELD(RequestInfo, http_version) FIELD(RequestInfo, has_context_headers) \
    CLASS(RequestRecord, active_key, is_logged) \
        FIELD(RequestRecord, active_key) FIELD(RequestRecord, method) FIELD(RequestRecord, path) \
        FIELD(RequestRecord, route) FIELD(RequestRecord, status) FIELD(RequestRecord, outcome) \
        FIELD(RequestRecord, error_type) FIELD(RequestRecord, duration) \
        FIELD(RequestRecord, time_to_first_byte) FIELD(RequestRecord, request_bytes) \
        FIELD(RequestRecord, response_bytes) FIELD(RequestRecord, request_id) \
        FIELD(RequestRecord, correlation_id) FIELD(RequestRecord, ids) FIELD(RequestRecord, is_sampled) \
        FIELD(RequestRecord, client) FIELD(RequestRecord, user_agent) FIELD(RequestRecord, ended) \
        FIELD(RequestRecord, is_logged) \
    CLASS(Sampling, _bound, tracer) \
        FIELD(Sampling, _bound) FIELD(Sampling, _drawn) FIELD(Sampling, tracer) \
    CLASS(ServerSpans, _is_enabled, sampling) \
        FIELD(ServerSpans, _is_enabled) FIELD(ServerSpans, _modules) FIELD(ServerSpans, _redactor) \
        FIELD(ServerSpans, _settings) FIELD(ServerSpans, _tracer) FIELD(ServerSpans, _users_provider) \
        FIELD(ServerSpans, _w3c) FIELD(ServerSpans, captured_headers) FIELD(ServerSpans, needs_header_names) \
        FIELD(ServerSpans, sampling) \
    CLASS(Worker, _bell, is_asleep) \
        FIELD(Worker, _bell) FIELD(Worker, _has_work) FIELD(Worker, _job) FIELD(Worker, _numbers) \
        FIELD(Worker, _starting) FIELD(Worker, _thread) FIELD(Worker, _timers) FIELD(Worker, is_asleep) \
    CLASS(_Unrecorded, _ids, _ids) \
        FIELD(_Unrecorded, _ids)

#endif

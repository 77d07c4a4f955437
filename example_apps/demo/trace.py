"""One request followed through four services, by its trace ID in their logs."""

from collections.abc import Mapping
from uuid import uuid4

import httpx

from example_apps.demo import logs
from example_apps.demo.logs import Line
from example_apps.demo.paper import Claim, Paper
from example_apps.demo.processes import Running
from example_apps.demo.traffic import Call
from example_apps.demo.waiting import until

Story = list[tuple[str, Line]]  # (service, line)


def show(paper: Paper, services: Mapping[str, Running], call: Call) -> list[Claim]:
    """Send a call that goes through all services, and print what the four logs have of it."""
    correlation_id = f"checkout-{uuid4().hex[:8]}"
    url = services[call.service].url + call.path
    headers = {**call.headers, "X-Correlation-ID": correlation_id}
    response = httpx.request(
        call.method, url, content=call.content, headers=headers, trust_env=False, timeout=10.0
    )
    request_id = response.headers.get("X-Request-ID", "")
    story = until(
        lambda: _story_of(request_id, services), lambda found: len(_accessed(found)) >= len(services)
    )

    paper.heading("One request, four services, one trace")
    paper.line(f"sent      {call.method} {url.partition('?')[0]}  X-Correlation-ID: {correlation_id}")
    paper.line(f"answered  {response.status_code}  X-Request-ID: {request_id}")
    paper.line(f"trace_id  {story[0][1]['trace_id'] if story else '-'}")
    paper.line()
    paper.line("all lines of this trace in the four log files; -> is the access line that ends a request:")
    paper.line()
    paper.table(["time", "service", "line"], [_row(service, line) for service, line in story])
    return _claims(story, response, correlation_id, services)


def _story_of(request_id: str, services: Mapping[str, Running]) -> Story:
    """Find the trace by the request ID in the first log, then its lines in all logs, in the order of time."""
    lines = [(name, line) for name, service in services.items() for line in logs.lines_of(service)]
    trace_ids = {line["trace_id"] for _, line in lines if line.get("request_id") == request_id}
    of_trace = [(name, line) for name, line in lines if line.get("trace_id") in trace_ids]
    return sorted(of_trace, key=lambda pair: str(pair[1]["timestamp"]))


def _accessed(story: Story) -> list[str]:
    return [name for name, line in story if logs.is_access(line)]


def _row(service: str, line: Line) -> list[str]:
    text = str(line["message"])
    if logs.is_access(line):
        text = "-> {method} {route}  {status} {outcome}  {duration_ms:.1f} ms".format_map(line)
    return [str(line["timestamp"])[11:23], service, text]


def _claims(
    story: Story, response: httpx.Response, correlation_id: str, services: Mapping[str, Running]
) -> list[Claim]:
    accessed = _accessed(story)
    trace_ids = {str(line["trace_id"]) for _, line in story}
    correlation_ids = {str(line.get("correlation_id")) for _, line in story}
    returned = response.headers.get("X-Correlation-ID")
    return [
        Claim(
            "one trace ID is in the logs of all four services, with one access line in each",
            sorted(accessed) == sorted(services) and len(trace_ids) == 1,
            f"access lines of {', '.join(accessed) or 'none'}; traces {', '.join(trace_ids) or 'none'}",
        ),
        Claim(
            "the caller's correlation ID is in all of these lines, and in the response",
            correlation_ids == {correlation_id} and returned == correlation_id,
            f"lines {', '.join(correlation_ids) or 'none'}; response {returned}",
        ),
    ]

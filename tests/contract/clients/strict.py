"""Google's own messages as the judge: reads recorded exchanges with Cloud Run v2, one JSON object a
line, and parses each body into the protocol buffer that the method has, refusing unknown fields,
values of enumerations, and `Any`s that do not fit their type.

Argument: the file. Prints one line for each body that does not fit, and how many did.
"""

import json
import re
import sys

from google.cloud import run_v2
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.longrunning import operations_pb2
from google.protobuf import json_format

# Imported so that the `Any`s of error details find their types.
from google.rpc import error_details_pb2, status_pb2

assert error_details_pb2.ErrorInfo

LOCATION = r"/v2/projects/[^/]+/locations/[^/]+"
SERVICE = LOCATION + r"/services/[^/:]+"
Operation = operations_pb2.Operation
Policy = policy_pb2.Policy


def pb(kind):
    return kind.pb()


# Method, path, the request's message, the answer's.
METHODS = [
    ("POST", LOCATION + "/services", pb(run_v2.Service), Operation),
    ("GET", LOCATION + "/services", None, pb(run_v2.ListServicesResponse)),
    ("GET", SERVICE, None, pb(run_v2.Service)),
    ("PATCH", SERVICE, pb(run_v2.Service), Operation),
    ("DELETE", SERVICE, None, Operation),
    ("GET", SERVICE + ":getIamPolicy", None, Policy),
    ("POST", SERVICE + ":setIamPolicy", iam_policy_pb2.SetIamPolicyRequest, Policy),
    (
        "POST",
        SERVICE + ":testIamPermissions",
        iam_policy_pb2.TestIamPermissionsRequest,
        iam_policy_pb2.TestIamPermissionsResponse,
    ),
    ("GET", SERVICE + "/revisions", None, pb(run_v2.ListRevisionsResponse)),
    ("GET", SERVICE + "/revisions/[^/]+", None, pb(run_v2.Revision)),
    ("DELETE", SERVICE + "/revisions/[^/]+", None, Operation),
    ("GET", LOCATION + "/operations", None, operations_pb2.ListOperationsResponse),
    ("GET", LOCATION + "/operations/[^/:]+", None, Operation),
    ("POST", LOCATION + "/operations/[^/:]+:wait", operations_pb2.WaitOperationRequest, Operation),
]


def parse(message, text):
    json_format.Parse(text, message())


def error_of(text):
    """The status of an error answer: the envelope's own fields are no part of the message."""
    error = json.loads(text)["error"]
    for name in ["status", "errors"]:
        error.pop(name, None)
    return json.dumps(error)


def bodies(exchange):
    """What there is to parse: part, message, text."""
    for method, path, request, response in METHODS:
        if exchange["method"] != method or not re.fullmatch(path, exchange["path"]):
            continue
        if request and exchange.get("request"):
            yield "request", request, exchange["request"]
        if exchange.get("response"):
            if exchange["status"] < 400:
                yield "answer", response, exchange["response"]
            else:
                yield "answer", status_pb2.Status, error_of(exchange["response"])


parsed = 0
for number, line in enumerate(open(sys.argv[1], encoding="utf-8"), 1):
    exchange = json.loads(line)
    for part, message, text in bodies(exchange):
        try:
            parse(message, text)
            parsed += 1
        except json_format.ParseError as error:
            print(f"#{number} {exchange['method']} {exchange['path']}: {part}: {error}")
print("parsed:", parsed)

"""The client that google-api-python-client builds from the discovery document run.v2, against the
local cloud. It checks parameters by the document before it sends anything.

Arguments: the local cloud's address, an access token, an image that serves, an image that crashes.
"""

import json
import sys
import time

from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import HttpError
from google.oauth2.credentials import Credentials

ADDRESS, TOKEN, SERVES, CRASHES = sys.argv[1:]
PARENT = "projects/demo-project/locations/us-central1"
NAME = f"{PARENT}/services/built"

document = json.loads(get_static_doc("run", "v2"))
document["rootUrl"] = document["baseUrl"] = f"{ADDRESS}/"
run = build_from_document(document, credentials=Credentials(TOKEN))
locations = run.projects().locations()
services = locations.services()
operations = locations.operations()


def step(function):
    function()
    print("passed:", function.__name__, flush=True)


def finished(operation):
    """Waits as a client does: by `wait`, which may come back early."""
    deadline = time.monotonic() + 60
    while not operation.get("done"):
        assert time.monotonic() < deadline, operation
        operation = operations.wait(name=operation["name"], body={"timeout": "5s"}).execute()
    assert "error" not in operation, operation["error"]
    return operation["response"]


def status_of(request):
    try:
        request.execute()
    except HttpError as error:
        return error.status_code, error.reason
    raise AssertionError("it was not refused")


def service(image=SERVES):
    return {"template": {"containers": [{"image": image}]}, "labels": {"team": "ml"}}


def create(short, image=SERVES):
    return services.create(parent=PARENT, serviceId=short, body=service(image))


@step
def create_and_get():
    made = finished(create("built").execute())
    assert made["@type"] == "type.googleapis.com/google.cloud.run.v2.Service"
    found = services.get(name=NAME).execute()
    assert found["generation"] == found["observedGeneration"] == "1", found
    assert found["traffic"] == [
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}
    ], found
    assert status_of(create("built"))[0] == 409
    assert status_of(services.get(name=f"{NAME}-absent"))[0] == 404


@step
def list_goes_through_the_pages():
    finished(create("other").execute())
    names, pages = [], 0
    request = services.list(parent=PARENT, pageSize=1)
    while request is not None:
        answer = request.execute()
        names += [one["name"] for one in answer["services"]]
        pages += 1
        request = services.list_next(request, answer)
    assert len(names) == 2 and NAME in names and pages >= 2, (names, pages)


@step
def patch_and_stale_etag():
    stale = services.get(name=NAME).execute()
    body = {"labels": {"team": "web"}, "etag": stale["etag"]}
    finished(services.patch(name=NAME, updateMask="labels", body=body).execute())
    code, reason = status_of(services.patch(name=NAME, updateMask="labels", body=body))
    assert code == 409 and reason.startswith("Conflict for resource 'built': version"), reason


@step
def policy_revisions_delete():
    policy = services.getIamPolicy(resource=NAME, options_requestedPolicyVersion=3).execute()
    policy["bindings"] = [{"role": "roles/run.invoker", "members": ["allUsers"]}]
    written = services.setIamPolicy(resource=NAME, body={"policy": policy}).execute()
    assert written["bindings"] == policy["bindings"] and written["etag"] != policy["etag"]
    listed = services.revisions().list(parent=NAME).execute()["revisions"]
    assert len(listed) == 1 and listed[0]["service"] == "built", listed
    read = services.revisions().get(name=listed[0]["name"]).execute()
    assert read["uid"] == listed[0]["uid"]
    gone = finished(services.delete(name=NAME).execute())
    assert gone["name"] == NAME
    assert status_of(services.get(name=NAME))[0] == 404

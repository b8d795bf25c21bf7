"""The client that google-api-python-client builds from the discovery document run.v1, the Knative
form of Cloud Run, against the local cloud.

Arguments: the local cloud's address, an access token, an image that serves, an image that crashes.
"""

import json
import sys
import time

import httplib2
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import HttpError

ADDRESS, TOKEN, SERVES, CRASHES = sys.argv[1:]
PARENT = "namespaces/demo-project"
LOCATION = "projects/demo-project/locations/us-central1"


class Regional(httplib2.Http):
    """Asks the host of a region: v1's paths under /apis/ name none."""

    def request(self, uri, method="GET", body=None, headers=None, **rest):
        headers = dict(headers or {}, host="us-central1-run.googleapis.com")
        return super().request(uri, method=method, body=body, headers=headers, **rest)


document = json.loads(get_static_doc("run", "v1"))
document["rootUrl"] = document["baseUrl"] = f"{ADDRESS}/"
run = build_from_document(document, http=AuthorizedHttp(Credentials(TOKEN), http=Regional()))
services = run.namespaces().services()
revisions = run.namespaces().revisions()


def step(function):
    function()
    print("passed:", function.__name__, flush=True)


def body(short, image=SERVES, **labels):
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": short, "namespace": "demo-project", "labels": labels},
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
    }


def get(short):
    return services.get(name=f"{PARENT}/services/{short}").execute()


def ready(one):
    return next(it for it in one["status"]["conditions"] if it["type"] == "Ready")


def settled(short):
    """Waits until what was wanted is in effect, or failed."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        one = get(short)
        is_fresh = one["status"].get("observedGeneration") == one["metadata"]["generation"]
        if is_fresh and ready(one)["status"] != "Unknown":
            return one
        time.sleep(0.1)
    raise AssertionError(f"{short} does not settle: {one}")


def refused(request, code):
    try:
        request.execute()
    except HttpError as error:
        assert error.status_code == code, error
        return error.reason
    raise AssertionError("it was not refused")


@step
def create_and_get():
    made = services.create(parent=PARENT, body=body("knative", team="ml")).execute()
    assert made["kind"] == "Service" and made["metadata"]["generation"] == 1, made
    one = settled("knative")
    assert ready(one)["status"] == "True", one["status"]
    assert one["metadata"]["labels"]["team"] == "ml"
    assert one["status"]["latestReadyRevisionName"] == one["status"]["latestCreatedRevisionName"]
    assert one["spec"]["traffic"] == [{"latestRevision": True, "percent": 100}], one["spec"]
    refused(services.create(parent=PARENT, body=body("knative")), 409)
    refused(services.get(name=f"{PARENT}/services/absent"), 404)


@step
def operations_end_with_a_service_of_v1():
    identifier = get("knative")["metadata"]["annotations"]["run.googleapis.com/operation-id"]
    operation = (
        run.projects()
        .locations()
        .operations()
        .wait(name=f"{LOCATION}/operations/{identifier}", body={"timeout": "5s"})
        .execute()
    )
    assert operation["done"], operation
    assert operation["response"]["@type"] == "type.googleapis.com/google.cloud.run.v1.Service"
    assert operation["response"]["metadata"]["name"] == "knative", operation


@step
def list_by_label_and_by_page():
    services.create(parent=PARENT, body=body("other", team="web")).execute()
    settled("other")
    chosen = services.list(parent=PARENT, labelSelector="team=web").execute()
    assert [one["metadata"]["name"] for one in chosen["items"]] == ["other"], chosen
    names, following = [], None
    for _ in range(3):
        page = services.list(parent=PARENT, limit=1, **{"continue": following}).execute()
        names += [one["metadata"]["name"] for one in page.get("items", [])]
        following = page.get("metadata", {}).get("continue")
        if not following:
            break
    assert sorted(names) == ["knative", "other"], names


@step
def replace_and_stale_version():
    stale = get("knative")
    changed = get("knative")
    container = changed["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "GREETING", "value": "hello"}]
    name = f"{PARENT}/services/knative"
    services.replaceService(name=name, body=changed).execute()
    one = settled("knative")
    assert one["metadata"]["generation"] == 2 and ready(one)["status"] == "True", one
    stale["metadata"]["labels"]["team"] = "late"
    reason = refused(services.replaceService(name=name, body=stale), 409)
    assert reason.startswith("Conflict for resource 'knative': version"), reason
    assert get("knative")["metadata"]["labels"]["team"] == "ml"


@step
def a_failed_rollout_shows_in_the_conditions():
    services.create(parent=PARENT, body=body("broken", CRASHES)).execute()
    condition = ready(settled("broken"))
    assert condition["status"] == "False", condition
    assert "failed to start and listen on the port" in condition["message"], condition
    services.delete(name=f"{PARENT}/services/broken").execute()


@step
def revisions_are_listed_read_and_deleted():
    selector = "serving.knative.dev/service=knative"
    listed = revisions.list(parent=PARENT, labelSelector=selector).execute()["items"]
    assert len(listed) == 2, listed
    serving = get("knative")["status"]["latestReadyRevisionName"]
    idle = next(it["metadata"]["name"] for it in listed if it["metadata"]["name"] != serving)
    read = revisions.get(name=f"{PARENT}/revisions/{idle}").execute()
    assert "@sha256:" in read["status"]["imageDigest"], read
    refused(revisions.delete(name=f"{PARENT}/revisions/{serving}"), 400)
    revisions.delete(name=f"{PARENT}/revisions/{idle}").execute()
    refused(revisions.get(name=f"{PARENT}/revisions/{idle}"), 404)


@step
def policies_and_deletion():
    resource = f"{LOCATION}/services/knative"
    projects = run.projects().locations().services()
    policy = projects.getIamPolicy(resource=resource).execute()
    policy["bindings"] = [{"role": "roles/run.invoker", "members": ["allUsers"]}]
    written = projects.setIamPolicy(resource=resource, body={"policy": policy}).execute()
    assert written["bindings"] == policy["bindings"], written
    for short in ["knative", "other"]:
        services.delete(name=f"{PARENT}/services/{short}").execute()
    deadline = time.monotonic() + 60
    while services.list(parent=PARENT).execute().get("items"):
        assert time.monotonic() < deadline, "the services are still there"
        time.sleep(0.1)

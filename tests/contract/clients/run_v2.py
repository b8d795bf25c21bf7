"""Google's own client for Cloud Run, over REST, against the local cloud.

Arguments: the local cloud's address, an access token, an image that serves, an image that crashes.
Ends with 1 and a traceback where the client is not satisfied.
"""

import sys

from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.cloud import run_v2
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.longrunning import operations_pb2
from google.oauth2.credentials import Credentials
from google.protobuf import field_mask_pb2

ADDRESS, TOKEN, SERVES, CRASHES = sys.argv[1:]
PARENT = "projects/demo-project/locations/us-central1"
LONGEST_WAIT = 60

Latest = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
Revision = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION


def client(kind):
    return kind(
        transport="rest",
        credentials=Credentials(TOKEN),
        client_options=ClientOptions(api_endpoint=ADDRESS),
    )


services = client(run_v2.ServicesClient)
revisions = client(run_v2.RevisionsClient)


def step(function):
    function()
    print("passed:", function.__name__, flush=True)


def service(image=SERVES):
    return run_v2.Service(
        description="made by Google's client",
        labels={"team": "ml"},
        ingress=run_v2.IngressTraffic.INGRESS_TRAFFIC_ALL,
        template=run_v2.RevisionTemplate(
            containers=[
                run_v2.Container(
                    image=image,
                    env=[run_v2.EnvVar(name="GREETING", value="hello")],
                    resources=run_v2.ResourceRequirements(
                        limits={"cpu": "1", "memory": "512Mi"}, cpu_idle=True
                    ),
                )
            ],
            timeout={"seconds": 60},
            scaling=run_v2.RevisionScaling(max_instance_count=3),
        ),
        traffic=[run_v2.TrafficTarget(type_=Latest, percent=100)],
    )


def name(short):
    return f"{PARENT}/services/{short}"


def create(short, image=SERVES):
    return services.create_service(parent=PARENT, service=service(image), service_id=short)


def refused(kind, text, call, *arguments, **keywords):
    try:
        call(*arguments, **keywords)
    except kind as error:
        assert text in str(error), f"{text!r} is not in {error}"
        return error
    raise AssertionError(f"{call} was not refused")


@step
def create_waits_for_the_result():
    operation = create("first")
    assert operation.metadata.name == name("first")
    made = operation.result(timeout=LONGEST_WAIT)
    assert isinstance(made, run_v2.Service)
    assert made.name == name("first") and made.generation == made.observed_generation == 1
    assert made.terminal_condition.state == run_v2.Condition.State.CONDITION_SUCCEEDED
    assert made.latest_ready_revision == made.latest_created_revision
    assert made.uri.startswith("http")
    assert made.create_time.timestamp() > 0 and not made.reconciling
    assert made.template.timeout.total_seconds() == 60
    refused(exceptions.Conflict, "already exists", create, "first")
    refused(exceptions.BadRequest, "", create, "Not_A_Name")


@step
def get_and_what_is_not_there():
    found = services.get_service(name=name("first"))
    assert found.description == "made by Google's client" and dict(found.labels) == {"team": "ml"}
    assert found.template.containers[0].env[0].value == "hello"
    refused(exceptions.NotFound, "does not exist", services.get_service, name=name("absent"))


@step
def list_goes_through_the_pages():
    for short in ["second", "third"]:
        create(short).result(timeout=LONGEST_WAIT)
    pager = services.list_services(
        request=run_v2.ListServicesRequest(parent=PARENT, page_size=2)
    )
    pages = [[one.name.rsplit("/", 1)[1] for one in page.services] for page in pager.pages]
    assert [len(page) for page in pages] == [2, 1], pages
    assert sorted(sum(pages, [])) == ["first", "second", "third"], pages


@step
def patch_changes_what_the_mask_names():
    changed = services.get_service(name=name("first"))
    changed.template.scaling.max_instance_count = 7
    changed.description = "not in the mask"
    done = services.update_service(
        service=changed,
        update_mask=field_mask_pb2.FieldMask(paths=["template.scaling.max_instance_count"]),
    ).result(timeout=LONGEST_WAIT)
    assert done.template.scaling.max_instance_count == 7
    assert done.description == "made by Google's client"
    assert done.generation == 2 and done.template.containers[0].env[0].value == "hello"


@step
def traffic_is_split():
    found = services.get_service(name=name("first"))
    newest = found.latest_ready_revision.rsplit("/", 1)[1]
    shorts = [one.name.rsplit("/", 1)[1] for one in revisions.list_revisions(parent=name("first"))]
    assert len(shorts) == 2 and shorts[0] == newest, shorts
    found.traffic = [
        run_v2.TrafficTarget(type_=Revision, revision=shorts[1], percent=90),
        run_v2.TrafficTarget(type_=Revision, revision=shorts[0], percent=10, tag="canary"),
    ]
    done = services.update_service(service=found, update_mask={"paths": ["traffic"]}).result(
        timeout=LONGEST_WAIT
    )
    assert [one.percent for one in done.traffic_statuses] == [90, 10], done.traffic_statuses
    assert done.traffic_statuses[1].tag == "canary" and done.traffic_statuses[1].uri


@step
def a_stale_etag_is_refused():
    stale = services.get_service(name=name("first"))
    stale.labels["owner"] = "ann"
    services.update_service(service=stale, update_mask={"paths": ["labels"]}).result(
        timeout=LONGEST_WAIT
    )
    stale.labels["owner"] = "bob"
    error = refused(
        exceptions.Conflict,
        "Conflict for resource 'first': version",
        services.update_service,
        service=stale,
        update_mask={"paths": ["labels"]},
    )
    assert error.code == 409 and "ABORTED" in str(error.response.json()), error
    assert services.get_service(name=name("first")).labels["owner"] == "ann"


@step
def a_failed_rollout_is_the_operations_error():
    operation = create("broken", CRASHES)
    error = refused(
        exceptions.GoogleAPICallError,
        "failed to start and listen on the port",
        operation.result,
        timeout=LONGEST_WAIT,
    )
    assert isinstance(error, exceptions.FailedPrecondition), type(error)
    broken = services.get_service(name=name("broken"))
    assert broken.terminal_condition.state == run_v2.Condition.State.CONDITION_FAILED
    assert not broken.latest_ready_revision


@step
def validate_only_changes_nothing():
    services.create_service(
        request=run_v2.CreateServiceRequest(
            parent=PARENT, service=service(), service_id="dry", validate_only=True
        )
    )
    refused(exceptions.NotFound, "", services.get_service, name=name("dry"))


@step
def policies_are_read_and_written():
    resource = name("first")
    read = iam_policy_pb2.GetIamPolicyRequest(resource=resource)
    before = services.get_iam_policy(request=read)
    before.bindings.append(
        policy_pb2.Binding(role="roles/run.invoker", members=["user:ann@example.com"])
    )
    services.set_iam_policy(
        request=iam_policy_pb2.SetIamPolicyRequest(resource=resource, policy=before)
    )
    after = services.get_iam_policy(request=read)
    assert [one.role for one in after.bindings] == ["roles/run.invoker"], after
    assert after.etag != b""
    wanted = ["run.services.get", "run.services.setIamPolicy"]
    held = services.test_iam_permissions(
        request=iam_policy_pb2.TestIamPermissionsRequest(resource=resource, permissions=wanted)
    )
    assert list(held.permissions) == wanted, held


@step
def revisions_are_listed_read_and_deleted():
    found = services.get_service(name=name("first"))
    found.traffic = [run_v2.TrafficTarget(type_=Latest, percent=100)]
    services.update_service(service=found, update_mask={"paths": ["traffic"]}).result(
        timeout=LONGEST_WAIT
    )
    pager = revisions.list_revisions(
        request=run_v2.ListRevisionsRequest(parent=name("first"), page_size=1)
    )
    listed = [one for page in pager.pages for one in page.revisions]
    assert len(listed) == 2, listed
    newest, oldest = listed
    read = revisions.get_revision(name=oldest.name)
    assert read.uid == oldest.uid and read.service.endswith("first")
    assert "@sha256:" in read.containers[0].image
    # The refusal may come at once, or from the operation.
    refused(
        exceptions.GoogleAPICallError,
        "",
        lambda: revisions.delete_revision(name=newest.name).result(timeout=LONGEST_WAIT),
    )
    gone = revisions.delete_revision(name=oldest.name).result(timeout=LONGEST_WAIT)
    assert isinstance(gone, run_v2.Revision) and gone.name == oldest.name
    refused(exceptions.NotFound, "", revisions.get_revision, name=oldest.name)


@step
def operations_are_listed():
    answer = services.list_operations(operations_pb2.ListOperationsRequest(name=PARENT))
    assert answer.operations and all(one.name.startswith(PARENT) for one in answer.operations)
    one = services.get_operation(
        operations_pb2.GetOperationRequest(name=answer.operations[0].name)
    )
    assert one.done


@step
def delete_waits_for_the_result():
    stale = services.get_service(name=name("first"))
    services.update_service(
        service=run_v2.Service(name=name("first"), labels={"owner": "cid"}),
        update_mask={"paths": ["labels"]},
    ).result(timeout=LONGEST_WAIT)
    refused(
        exceptions.Conflict,
        "Conflict for resource 'first': version",
        services.delete_service,
        request=run_v2.DeleteServiceRequest(name=name("first"), etag=stale.etag),
    )
    current = services.get_service(name=name("first"))
    gone = services.delete_service(
        request=run_v2.DeleteServiceRequest(name=name("first"), etag=current.etag)
    ).result(timeout=LONGEST_WAIT)
    assert isinstance(gone, run_v2.Service) and gone.name == name("first")
    refused(exceptions.NotFound, "", services.get_service, name=name("first"))
    refused(exceptions.NotFound, "", services.delete_service, name=name("first"))

"""Property values, differences between them, and what they mean for a Kubernetes object."""

import pytest
from google.protobuf import struct_pb2

from sandbox.provider.differences import differences, top
from sandbox.provider.kubernetes import immutable, outputs
from sandbox.provider.kubernetes.ownership import contested, may_force
from sandbox.provider.kubernetes.rest import ApiError
from sandbox.provider.values import (
    ASSET,
    OUTPUT,
    SECRET,
    SIGNATURE,
    UNKNOWN,
    UNKNOWN_TEXT,
    AssetError,
    Secret,
    decode,
    encode,
    has_unknown,
)


def test_values_survive_the_way_to_the_engine_and_back() -> None:
    given = {"text": "a", "number": 3, "part": 1.5, "yes": True, "list": [1, {"deep": "x"}], "empty": {}, "none": []}
    assert decode(encode(given)) == given


def test_whole_numbers_come_back_as_integers() -> None:
    assert isinstance(decode(encode({"port": 80}))["port"], int)


def test_secrets_and_outputs_are_opened() -> None:
    struct = struct_pb2.Struct()
    struct.update(
        {"a": {SIGNATURE: SECRET, "value": "x"}, "b": {SIGNATURE: OUTPUT, "value": 1}, "c": {SIGNATURE: OUTPUT}}
    )
    assert decode(struct) == {"a": "x", "b": 1, "c": UNKNOWN}


def test_a_secret_is_closed_on_the_way_out() -> None:
    field = encode({"a": Secret({"k": "v"})}).fields["a"].struct_value.fields
    assert field[SIGNATURE].string_value == SECRET
    assert field["value"].struct_value.fields["k"].string_value == "v"


def test_unknown_values_are_known_as_such() -> None:
    struct = struct_pb2.Struct()
    struct.update({"a": [{"b": UNKNOWN_TEXT}]})
    assert has_unknown(decode(struct))
    assert encode({"a": UNKNOWN}).fields["a"].string_value == UNKNOWN_TEXT


def test_files_as_values_are_refused() -> None:
    struct = struct_pb2.Struct()
    struct.update({"a": {SIGNATURE: ASSET, "path": "x"}})
    with pytest.raises(AssetError, match="pass their content"):
        decode(struct)


def test_differences_are_named_by_pulumis_paths() -> None:
    old = {"a": {"b": [1, 2], "gone": 1}, "data": {"app.conf": "x"}}
    new = {"a": {"b": [1, 3, 4], "new": UNKNOWN}, "data": {"app.conf": "y"}}
    assert differences(old, new) == {
        "a.b[1]": "update",
        "a.b[2]": "add",
        "a.gone": "delete",
        "a.new": "add",
        'data["app.conf"]': "update",
    }
    assert top('data["app.conf"]') == "data"


def test_internal_properties_are_no_difference() -> None:
    assert differences({"__fieldManager": "a"}, {"__fieldManager": "b"}) == {}


@pytest.mark.parametrize(
    "message",
    [
        'Deployment.apps "d" is invalid: spec.selector: Invalid value: {}: field is immutable',
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden",
        "roleRef: Invalid value: cannot change roleRef",
        "spec.clusterIPs[0]: Invalid value: []: may not change once set",
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`",
        "parameters: Forbidden: updates to parameters are forbidden.",
        "spec: Forbidden: spec is immutable after creation except resources.requests",
    ],
)
def test_the_servers_words_for_an_immutable_field_force_a_new_object(message: str) -> None:
    assert immutable.by_verdict(ApiError(422, message), ["spec.a"]) == {"spec.a"}


def test_only_the_named_field_forces_a_new_object() -> None:
    causes = [{"field": "spec.selector", "message": "field is immutable"}]
    error = ApiError(422, "invalid", "Invalid", causes)
    assert immutable.by_verdict(error, ["spec.selector.matchLabels.a", "spec.replicas"]) == {
        "spec.selector.matchLabels.a"
    }


@pytest.mark.parametrize(("code", "message"), [(422, "must be between 1 and 65535"), (409, "field is immutable")])
def test_other_refusals_do_not(code: int, message: str) -> None:
    assert immutable.by_verdict(ApiError(code, message), ["spec.a"]) == set()


def test_configuration_is_replaced_unless_declared_mutable() -> None:
    assert immutable.by_rule("ConfigMap", ["data.a"], mutable=False, tested=True) == {"data.a"}
    assert immutable.by_rule("ConfigMap", ["data.a"], mutable=True, tested=True) == set()
    assert immutable.by_rule("Deployment", ["metadata.name"], mutable=True, tested=True) == {"metadata.name"}


def test_the_servers_own_spelling_and_defaults_are_no_drift() -> None:
    inputs = {"spec": {"cpu": "1000m", "ports": [{"port": 80}]}}
    seen = {"spec": {"cpu": "1", "ports": [{"port": 80, "protocol": "TCP"}], "type": "ClusterIP"}}
    assert outputs.drifted(inputs, seen, seen) == inputs


def test_what_somebody_changed_or_removed_is_drift() -> None:
    inputs = {"labels": {"a": "1", "b": "2"}, "ports": [{"port": 80}]}
    before = {"labels": {"a": "1", "b": "2"}, "ports": [{"port": 80, "protocol": "TCP"}]}
    now = {"labels": {"a": "9", "other": "x"}, "ports": [{"port": 81, "protocol": "TCP"}]}
    assert outputs.drifted(inputs, before, now) == {"labels": {"a": "9"}, "ports": [{"port": 81}]}


def test_a_secrets_string_data_drifts_with_its_data() -> None:
    inputs = {"stringData": {"a": "x", "b": "y", "c": "z"}}
    before = {"kind": "Secret", "data": {"a": "eA==", "b": "eQ==", "c": "eg=="}, "stringData": inputs["stringData"]}
    now = {"kind": "Secret", "data": {"a": "eA==", "b": "UQ=="}}
    assert outputs.drifted(inputs, before, now) == {"stringData": {"a": "x", "b": "Q"}}


def test_string_data_is_applied_as_data() -> None:
    body = outputs.desired({"stringData": {"a": "x"}, "data": {"b": "eQ=="}}, "v1", "Secret")
    assert body["data"] == {"a": "eA==", "b": "eQ=="}
    assert "stringData" not in body


def test_a_secrets_data_is_always_closed_in_the_outputs() -> None:
    live = {"kind": "Secret", "metadata": {"managedFields": []}, "data": {"a": "eA=="}}
    found = outputs.outputs(live, {}, "m")
    assert found["data"] == Secret({"a": "eA=="})
    assert "managedFields" not in found["metadata"]


def conflict(manager: str) -> ApiError:
    causes = [{"field": ".spec.replicas", "message": f'conflict with "{manager}" using apps/v1'}]
    return ApiError(409, "Apply failed with 1 conflict", "Conflict", causes)


def test_a_persons_edit_may_be_overruled_and_a_controllers_may_not() -> None:
    assert may_force(conflict("kubectl-edit"))
    assert not may_force(conflict("horizontal-pod-autoscaler"))
    assert ".spec.replicas belongs to horizontal-pod-autoscaler" in contested(conflict("horizontal-pod-autoscaler"))

"""NVIDIA's GPU Operator: what its chart is told, and what the nodes' labels mean."""

import csv
from typing import Any

import pulumi_kubernetes as k8s
import pytest
import yaml

from components.chart import Chart
from components.cluster import Cluster
from components.gpu_operator import COUNTERS, GpuFeatures, GpuOperator, GpuOperatorArgs
from components.gpu_sharing import MigLayout, device_plugin, gpu_resource, mig_parted, node_labels
from tests.unit.recorder import Recorder

CHART = Chart(name="gpu-operator", version="v26.7.0", repository="https://helm.ngc.nvidia.com/nvidia")
SMALL = MigLayout(name="all-1g.10gb", profiles={"1g.10gb": 7})


def build(features: GpuFeatures) -> Recorder:
    def program() -> None:
        cluster = Cluster(name="test", provider=k8s.Provider("test", kubeconfig="{}"))
        GpuOperator("gpu-operator", GpuOperatorArgs(cluster=cluster, chart=CHART, features=features))

    return Recorder.record("test", program)


def values(recorder: Recorder) -> dict[str, Any]:
    return recorder.of("Release")["gpu-operator-chart"]["values"]


def test_a_host_that_brings_the_driver_gets_neither_driver_nor_toolkit() -> None:
    told = values(build(GpuFeatures(driver=False, toolkit=False)))
    assert (told["driver"]["enabled"], told["toolkit"]["enabled"]) == (False, False)


def test_a_host_without_a_driver_gets_both() -> None:
    told = values(build(GpuFeatures(driver=True, toolkit=True)))
    assert (told["driver"]["enabled"], told["toolkit"]["enabled"]) == (True, True)


def test_crds_are_upgraded_by_the_charts_hook_and_survive_the_release() -> None:
    assert values(build(GpuFeatures(driver=False, toolkit=False)))["operator"] == {
        "upgradeCRD": True,
        "cleanupCRD": False,
    }


def test_the_namespace_admits_privileged_pods() -> None:
    labels = build(GpuFeatures(driver=True, toolkit=True)).of("Namespace")["gpu-operator-namespace"]["metadata"][
        "labels"
    ]
    assert labels["pod-security.kubernetes.io/enforce"] == "privileged"


def test_every_config_map_that_the_values_name_exists() -> None:
    recorder = build(GpuFeatures(driver=False, toolkit=False, mig="single", layouts=(SMALL,), slices=(4,)))
    maps = {m["metadata"]["name"]: m["data"] for m in recorder.of("ConfigMap").values()}
    told = values(recorder)
    assert "dcgm-metrics.csv" in maps[told["dcgmExporter"]["config"]["name"]]
    assert told["devicePlugin"]["config"]["default"] in maps[told["devicePlugin"]["config"]["name"]]
    layouts = yaml.safe_load(maps[told["migManager"]["config"]["name"]]["config.yaml"])["mig-configs"]
    assert {told["migManager"]["config"]["default"], SMALL.name} == set(layouts)


def test_a_changed_layout_is_another_config_map_so_that_the_operands_roll() -> None:
    def name(layout: MigLayout) -> str:
        recorder = build(GpuFeatures(driver=False, toolkit=False, mig="single", layouts=(layout,)))
        return values(recorder)["migManager"]["config"]["name"]

    assert name(SMALL) == name(SMALL)
    assert name(SMALL) != name(MigLayout(name="all-1g.10gb", profiles={"2g.20gb": 3}))


def test_what_says_that_a_gpu_fails_is_counted() -> None:
    rows = [row for row in csv.reader(COUNTERS.read_text().splitlines()) if row and not row[0].startswith("#")]
    assert {len(row) for row in rows} == {3}
    assert {row[1].strip() for row in rows} <= {"gauge", "counter", "label"}
    names = [row[0] for row in rows]
    assert len(names) == len(set(names))
    assert {
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL",
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
        "DCGM_EXP_XID_ERRORS_COUNT",
        "DCGM_FI_DEV_ROW_REMAP_FAILURE",
        "DCGM_FI_DEV_THERMAL_VIOLATION",
        "DCGM_FI_DEV_POWER_VIOLATION",
        "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL",
        "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL",
    } <= set(names)


def test_a_node_says_its_layout_and_its_sharing_by_labels_that_the_configurations_know() -> None:
    labels = node_labels(SMALL, slices=4)
    assert labels["nvidia.com/mig.config"] in yaml.safe_load(mig_parted([SMALL]))["mig-configs"]
    assert labels["nvidia.com/device-plugin.config"] in device_plugin("single", [4], ["nvidia.com/gpu"])
    assert node_labels() == {}


def test_a_pod_cannot_take_two_turns_of_one_gpu() -> None:
    shared = yaml.safe_load(device_plugin("none", [4], ["nvidia.com/gpu"])["slices-4"])["sharing"]["timeSlicing"]
    assert shared == {
        "failRequestsGreaterThanOne": True,
        "resources": [{"name": "nvidia.com/gpu", "replicas": 4}],
    }


def test_the_strategy_decides_what_a_pod_asks_for() -> None:
    assert gpu_resource("none", None) == "nvidia.com/gpu"
    assert gpu_resource("single", SMALL) == "nvidia.com/gpu"
    assert gpu_resource("mixed", SMALL) == "nvidia.com/mig-1g.10gb"
    with pytest.raises(ValueError, match="several profiles"):
        gpu_resource("mixed", MigLayout(name="odd", profiles={"1g.10gb": 2, "2g.20gb": 1}))


def test_layouts_without_mig_are_refused() -> None:
    with pytest.raises(ValueError, match="'none'; set it to 'single' or 'mixed'"):
        GpuFeatures(driver=False, toolkit=False, layouts=(SMALL,))


def test_kernel_modules_that_only_the_operators_driver_pod_builds_are_refused_without_it() -> None:
    with pytest.raises(ValueError, match="install nvidia-fs and gdrdrv on the host"):
        GpuFeatures(driver=False, toolkit=False, gds=True)

"""The rules of helm.sh/v3 Release: a real chart, installed by the real helm."""

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sandbox.provider.contract import Changes, Failure, Live, Naming, NotReadyError, ProviderError, Task
from sandbox.provider.differences import differences
from sandbox.provider.kubernetes import charts, helm
from sandbox.provider.kubernetes.cluster import APPLY, Cluster
from sandbox.provider.kubernetes.identity import annotation
from sandbox.provider.kubernetes.readiness.conditions import missing
from sandbox.provider.kubernetes.readiness.workloads import deployment
from sandbox.provider.kubernetes.rest import ApiError, Cancelled, Json
from sandbox.provider.values import UNKNOWN, Properties, has_unknown

ARGUMENTS = {
    "name",
    "namespace",
    "chart",
    "version",
    "values",
    "timeout",
    "createNamespace",
    "skipAwait",
    "skipCrds",
    "atomic",
    "cleanupOnFail",
    "maxHistory",
    "description",
    "compat",
    "resourceNames",
    "repositoryOpts",
}
FLAGS = {"createNamespace": "--create-namespace", "atomic": "--atomic", "cleanupOnFail": "--cleanup-on-fail"}
MANAGER = "pulumi-helm-crds"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class ReleaseRules:
    """One release of a chart that the table of charts knows."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def check(self, task: Task, olds: Properties, news: Properties, naming: Naming) -> tuple[Properties, list[Failure]]:
        inputs = dict(news)
        failures = [
            Failure(name, f"Release has no argument {name!r} in the sandbox; there is {', '.join(sorted(ARGUMENTS))}.")
            for name in news
            if name not in ARGUMENTS and not name.startswith("__")
        ]
        if not inputs.get("name"):
            suffix = hashlib.sha256(naming.seed or task.urn.encode()).hexdigest()[:7]
            inputs["name"] = olds.get("name") or naming.proposed or f"{task.name.lower()}-{suffix}"
        inputs.setdefault("namespace", self.cluster.namespace)
        chart, version = inputs.get("chart"), inputs.get("version")
        if chart is not UNKNOWN and version is not UNKNOWN:
            try:
                charts.find(str(chart), str(version) if version else None)
            except ProviderError as error:
                failures.append(Failure("chart", str(error)))
        return inputs, failures

    def diff(self, task: Task, identifier: str, state: Properties, old_inputs: Properties, news: Properties) -> Changes:
        paths = differences(old_inputs, news)
        replace = {path for path in paths if path in ("name", "namespace")}
        return Changes(paths=paths, replace=replace, delete_first=replace == {"namespace"})

    def create(self, task: Task, inputs: Properties) -> tuple[str, Properties]:
        if task.preview:
            return "", self._preview(task, inputs)
        return f"{inputs['namespace']}/{inputs['name']}", self._install(task, inputs)

    def update(
        self, task: Task, identifier: str, state: Properties, old_inputs: Properties, news: Properties
    ) -> Properties:
        return self._preview(task, news) if task.preview else self._install(task, news)

    def _preview(self, task: Task, inputs: Properties) -> Properties:
        if not has_unknown(inputs):
            chart = charts.prepare(charts.find(inputs["chart"], inputs.get("version")))
            arguments = ["template", inputs["name"], str(chart.chart), "--namespace", inputs["namespace"]]
            helm.run(task, self.cluster, arguments, inputs.get("values") or {}, lambda: None)
        return {**inputs, "status": UNKNOWN}

    def _install(self, task: Task, inputs: Properties) -> Properties:
        name, namespace = str(inputs["name"]), str(inputs["namespace"])
        chart = charts.prepare(charts.find(inputs["chart"], inputs.get("version")))
        if not inputs.get("skipCrds"):
            self._definitions(task, chart)
        before = helm.stored(self.cluster, namespace, name)
        if before is not None and before.status.startswith("pending-"):
            task.status(f"revision {before.revision} was interrupted ({before.status}): it is done over again")
            helm.forget(self.cluster, namespace, before)
        timeout = task.timeout or float(inputs.get("timeout") or helm.TIMEOUT)
        arguments = ["upgrade", "--install", name, str(chart.chart), "--namespace", namespace, "--skip-crds"]
        arguments += ["--timeout", f"{timeout:.0f}s", "--history-max", str(inputs.get("maxHistory") or 5)]
        arguments += [flag for argument, flag in FLAGS.items() if inputs.get(argument)]
        arguments += [] if inputs.get("skipAwait") else ["--wait"]
        task.status("helm runs the chart's hooks and installs it")
        try:
            helm.run(task, self.cluster, arguments, inputs.get("values") or {}, lambda: self._lacking(namespace, name))
        except ProviderError as error:
            found = helm.stored(self.cluster, namespace, name)
            text = f"Release {namespace}/{name}: {error}"
            if found is None:
                raise ProviderError(text) from None
            outputs = {**inputs, "status": found.summary(name, namespace)}
            raise NotReadyError(f"{namespace}/{name}", outputs, inputs, [text]) from None
        found = helm.stored(self.cluster, namespace, name)
        if found is None:
            raise ProviderError(f"Release {namespace}/{name}: helm ended well but keeps no record of it.")
        return {**inputs, "status": found.summary(name, namespace)}

    def _lacking(self, namespace: str, name: str) -> str | None:
        """What the release's Deployments are waiting for."""
        for live in self.cluster.list("apps/v1", "Deployment", namespace, f"app.kubernetes.io/instance={name}"):
            try:
                text = deployment(self.cluster, live)
            except Exception as error:  # only a remark for the person: helm itself decides
                text = str(error)
            if text:
                return f"Deployment {live['metadata']['name']}: {text}"
        return None

    def _definitions(self, task: Task, chart: charts.Prepared) -> None:
        """Apply the chart's CRDs and wait until the API server serves them."""
        files = chart.definitions()
        if not files:
            return
        task.status(f"applying {len(files)} CRDs")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda file: self._definition(task, file), files))

    def _definition(self, task: Task, file: Path) -> None:
        path = f"{DEFINITIONS}/{file.stem}"
        cancelled = task.cancelled
        try:
            live = self._defined(file, path, cancelled)
            for _ in range(600):  # a tenth of a second each
                if missing((live.get("status") or {}).get("conditions"), live, ("Established",)) is None:
                    return
                if cancelled.wait(0.1):
                    raise Cancelled("interrupted while CRDs were being established")
                live = self.cluster.rest.request("GET", path)
        except ApiError as error:
            raise ProviderError(f"CustomResourceDefinition {file.stem}: {error.message}") from None
        raise ProviderError(f"CustomResourceDefinition {file.stem} is not established after 60 s.")

    def _defined(self, file: Path, path: str, cancelled: threading.Event) -> Json:
        """The CRD as the chart has it: made, left alone, or applied over an older one."""
        rest, body = self.cluster.rest, file.read_bytes()
        try:
            # An apply of a CRD costs the API server many times what its creation does.
            return rest.request("POST", DEFINITIONS, query={"fieldManager": MANAGER}, body=body, cancelled=cancelled)
        except ApiError as error:
            if error.code != 409:
                raise
        live = rest.request("GET", path)
        wanted = annotation(json.loads(body), charts.CONTENT)
        if annotation(live, charts.CONTENT) == wanted:
            return live
        query = {"fieldManager": MANAGER, "force": "true"}
        return rest.request("PATCH", path, query=query, body=body, content_type=APPLY, cancelled=cancelled)

    def read(self, task: Task, identifier: str, state: Properties, inputs: Properties) -> Live | None:
        namespace, _, name = identifier.rpartition("/")
        namespace = namespace or self.cluster.namespace
        found = helm.stored(self.cluster, namespace, name)
        if found is None:
            return None
        summary = found.summary(name, namespace)
        if inputs:
            kept = dict(inputs)
            before: Json = state.get("status") or {}
            if before.get("revision") != found.revision:  # somebody used helm by hand
                kept |= {"values": found.values, "version": found.version}
        else:
            reference = next((c.reference for c in charts.CHARTS if Path(c.directory).name == found.chart), found.chart)
            kept = {"name": name, "namespace": namespace, "chart": reference}
            kept |= {"version": found.version, "values": found.values, "compat": "true"}
        outputs: dict[str, Any] = {**kept, "status": summary}
        return Live(identifier=f"{namespace}/{name}", outputs=outputs, inputs=kept)

    def delete(self, task: Task, identifier: str, state: Properties) -> None:
        namespace, _, name = identifier.rpartition("/")
        found = helm.stored(self.cluster, namespace, name)
        if found is None:
            return
        timeout = task.timeout or float(state.get("timeout") or helm.TIMEOUT)
        arguments = ["uninstall", name, "--namespace", namespace, "--wait", "--timeout", f"{timeout:.0f}s"]
        try:
            helm.run(task, self.cluster, [*arguments, "--ignore-not-found"], None, lambda: None)
        except ProviderError as error:
            raise ProviderError(f"Release {identifier}: {error}") from None

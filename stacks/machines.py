"""Machine types and the GPUs in them: plain data, for the fit of models, for node pools and for prices.

Sources: AWS EC2 user guide "Accelerated computing" (vCPUs, memory, GPUs, EFA interfaces), Google Compute Engine
documentation "GPU machine types", NVIDIA data sheets (GPU memory as sold, compute capability). Read November 2026.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One kind of GPU."""

    name: str
    memory_gib: int  # as sold; the driver keeps some of it
    capability: str  # CUDA compute capability: engines are built for one
    bf16: bool  # Ampere and later
    fp8: bool  # Ada, Hopper and later
    fp4: bool = False  # Blackwell


def _gpu(name: str, memory_gib: int, capability: str) -> Gpu:
    version = tuple(int(part) for part in capability.split("."))
    return Gpu(
        name=name,
        memory_gib=memory_gib,
        capability=capability,
        bf16=version >= (8, 0),
        fp8=version >= (8, 9),
        fp4=version >= (10, 0),
    )


GPUS = {
    gpu.name: gpu
    for gpu in (
        _gpu("t4", 16, "7.5"),
        _gpu("a10g", 24, "8.6"),
        _gpu("l4", 24, "8.9"),
        _gpu("l40s", 48, "8.9"),
        _gpu("a100-40gb", 40, "8.0"),
        _gpu("a100-80gb", 80, "8.0"),
        _gpu("h100-80gb", 80, "9.0"),
        _gpu("h200-141gb", 141, "9.0"),
        _gpu("b200", 180, "10.0"),
    )
}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One machine type of a cloud, or one kind of server."""

    name: str
    cpus: int
    memory_gib: int
    gpu: Gpu | None = None
    gpus: int = 0
    efa: int = 0  # Elastic Fabric Adapter interfaces it can have
    accelerator: str = ""  # what Google calls the GPU
    local_ssds: int = 0  # fixed local SSDs (AWS: NVMe instance store volumes)
    local_ssd_gb: int = 0  # what one of them holds, GB

    @property
    def gpu_memory_gib(self) -> int:
        """The memory of all its GPUs together."""
        return self.gpus * self.gpu.memory_gib if self.gpu else 0


def _aws(
    name: str,
    cpus: int,
    memory_gib: int,
    gpu: str = "",
    gpus: int = 0,
    *,
    efa: int = 0,
    ssds: tuple[int, int] = (0, 0),  # how many, and GB of each
) -> Machine:
    return Machine(
        name=name,
        cpus=cpus,
        memory_gib=memory_gib,
        gpu=GPUS.get(gpu),
        gpus=gpus,
        efa=efa,
        local_ssds=ssds[0],
        local_ssd_gb=ssds[1],
    )


def _gcp(
    name: str, cpus: int, memory_gib: int, gpu: str = "", gpus: int = 0, accelerator: str = "", ssds: int = 0
) -> Machine:
    return Machine(
        name=name,
        cpus=cpus,
        memory_gib=memory_gib,
        gpu=GPUS.get(gpu),
        gpus=gpus,
        accelerator=accelerator,
        local_ssds=ssds,
    )


AWS = {
    machine.name: machine
    for machine in (
        _aws("m7i.large", 2, 8),
        _aws("m7i.xlarge", 4, 16),
        _aws("m7i.2xlarge", 8, 32),
        _aws("m7i.4xlarge", 16, 64),
        _aws("g4dn.xlarge", 4, 16, "t4", 1, ssds=(1, 125)),
        _aws("g4dn.12xlarge", 48, 192, "t4", 4, efa=1, ssds=(1, 900)),
        _aws("g5.xlarge", 4, 16, "a10g", 1, ssds=(1, 250)),
        _aws("g5.2xlarge", 8, 32, "a10g", 1, ssds=(1, 450)),
        _aws("g5.12xlarge", 48, 192, "a10g", 4, efa=1, ssds=(1, 3800)),
        _aws("g5.48xlarge", 192, 768, "a10g", 8, efa=1, ssds=(2, 3800)),
        _aws("g6.xlarge", 4, 16, "l4", 1, ssds=(1, 250)),
        _aws("g6.2xlarge", 8, 32, "l4", 1, ssds=(1, 450)),
        _aws("g6.12xlarge", 48, 192, "l4", 4, efa=1, ssds=(4, 940)),
        _aws("g6.48xlarge", 192, 768, "l4", 8, efa=1, ssds=(8, 940)),
        _aws("g6e.xlarge", 4, 32, "l40s", 1, ssds=(1, 250)),
        _aws("g6e.2xlarge", 8, 64, "l40s", 1, ssds=(1, 450)),
        _aws("g6e.12xlarge", 48, 384, "l40s", 4, efa=1, ssds=(2, 1900)),
        _aws("g6e.48xlarge", 192, 1536, "l40s", 8, efa=4, ssds=(4, 1900)),
        _aws("p4d.24xlarge", 96, 1152, "a100-40gb", 8, efa=4, ssds=(8, 1000)),
        _aws("p4de.24xlarge", 96, 1152, "a100-80gb", 8, efa=4, ssds=(8, 1000)),
        _aws("p5.48xlarge", 192, 2048, "h100-80gb", 8, efa=32, ssds=(8, 3840)),
        _aws("p5en.48xlarge", 192, 2048, "h200-141gb", 8, efa=16, ssds=(8, 3840)),
        _aws("p6-b200.48xlarge", 192, 2048, "b200", 8, efa=8, ssds=(8, 3840)),
    )
}

GCP = {
    machine.name: machine
    for machine in (
        _gcp("e2-standard-4", 4, 16),
        _gcp("e2-standard-8", 8, 32),
        _gcp("n2-standard-4", 4, 16),
        _gcp("n2-standard-8", 8, 32),
        _gcp("g2-standard-4", 4, 16, "l4", 1, "nvidia-l4"),
        _gcp("g2-standard-8", 8, 32, "l4", 1, "nvidia-l4"),
        _gcp("g2-standard-12", 12, 48, "l4", 1, "nvidia-l4"),
        _gcp("g2-standard-24", 24, 96, "l4", 2, "nvidia-l4"),
        _gcp("g2-standard-48", 48, 192, "l4", 4, "nvidia-l4"),
        _gcp("g2-standard-96", 96, 384, "l4", 8, "nvidia-l4"),
        _gcp("a2-highgpu-1g", 12, 85, "a100-40gb", 1, "nvidia-tesla-a100"),
        _gcp("a2-highgpu-8g", 96, 680, "a100-40gb", 8, "nvidia-tesla-a100"),
        _gcp("a2-ultragpu-1g", 12, 170, "a100-80gb", 1, "nvidia-a100-80gb", 1),
        _gcp("a2-ultragpu-8g", 96, 1360, "a100-80gb", 8, "nvidia-a100-80gb", 8),
        _gcp("a3-highgpu-8g", 208, 1872, "h100-80gb", 8, "nvidia-h100-80gb", 16),
        _gcp("a3-megagpu-8g", 208, 1872, "h100-80gb", 8, "nvidia-h100-mega-80gb", 16),
        _gcp("a3-ultragpu-8g", 224, 2952, "h200-141gb", 8, "nvidia-h200-141gb", 32),
        _gcp("a4-highgpu-8g", 224, 3968, "b200", 8, "nvidia-b200", 32),
    )
}

DGX = {
    machine.name: machine
    for machine in (
        Machine(name="dgx-a100", cpus=256, memory_gib=2048, gpu=GPUS["a100-80gb"], gpus=8),
        Machine(name="dgx-h100", cpus=224, memory_gib=2048, gpu=GPUS["h100-80gb"], gpus=8),
        Machine(name="dgx-h200", cpus=224, memory_gib=2048, gpu=GPUS["h200-141gb"], gpus=8),
        Machine(name="dgx-b200", cpus=224, memory_gib=2048, gpu=GPUS["b200"], gpus=8),
        Machine(name="hgx-h100", cpus=192, memory_gib=2048, gpu=GPUS["h100-80gb"], gpus=8),
        Machine(name="hgx-h200", cpus=192, memory_gib=2048, gpu=GPUS["h200-141gb"], gpus=8),
    )
}

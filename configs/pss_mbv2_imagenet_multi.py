# PSS-Net, MobileNetV2, variant M: pools for FLOPs, CPU and GPU latency at once.
# bash tools/dist_train.sh configs/pss_mbv2_imagenet_multi.py 8
_base_ = ['pss_mbv2_imagenet.py', '_base_/latency/mbv2.py']

# tables, their commands and the levels: _base_/latency/mbv2.py
default_hooks = dict(
    pss_sampler=dict(
        resources=dict(
            latency_cpu=_base_.latency_cpu, latency_gpu=_base_.latency_gpu),
        budgets=dict(
            latency_cpu=_base_.cpu_levels, latency_gpu=_base_.gpu_levels)))

# mmdet's SSDLite on COCO, for a supernet as the backbone
_base_ = ['ssdlite_mbv2.py', 'coco_held_out.py']

model = dict(
    type='pss.SupernetDetector',
    detector='mmdet.SingleStageDetector',
    input_size=(320, 320))
default_hooks = _base_.adaptive_hooks
model_wrapper_cfg = dict(type='pss.SupernetDistributedDataParallel')
optim_wrapper = dict(type='pss.SandwichOptimWrapper')

# mmdet goes through the images five times an epoch
training_part = dict(
    **_base_.training_split, dataset=_base_.train_dataloader.dataset.dataset)
train_dataloader = dict(
    dataset=dict(dataset=dict(_delete_=True, **training_part)))
held_out_dataloader = dict(
    **_base_.held_out_loading,
    batch_size=8,
    dataset=dict(
        **_base_.held_out_split,
        dataset=dict(
            **_base_.held_out_images,
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='Resize', scale=(320, 320), keep_ratio=False),
                dict(type='LoadAnnotations', with_bbox=True),
                _base_.held_out_packing,
            ])))
val_dataloader = dict(_delete_=True, **held_out_dataloader)
val_evaluator = dict(_delete_=True, **_base_.held_out_evaluator)
calibration_dataloader = dict(
    **_base_.calibration_loading, batch_size=64, dataset=training_part)

train_cfg = dict(type='pss.SupernetTrainLoop')
val_cfg = dict(
    **_base_.subnet_val_loop, calibration_dataloader=calibration_dataloader)
test_cfg = dict(
    **_base_.subnet_test_loop,
    calibration_dataloader=calibration_dataloader,
    selection_dataloader=held_out_dataloader)

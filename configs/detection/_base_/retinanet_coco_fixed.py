# mmdet's RetinaNet on COCO over one subnet; configs add the backbone
_base_ = ['mmdet::_base_/models/retinanet_r50_fpn.py', 'coco_fixed.py']

model = dict(backbone=dict(_delete_=True, norm_eval=True))

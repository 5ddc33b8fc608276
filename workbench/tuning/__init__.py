"""Fine-tuning methods: one file each, registered in :data:`workbench.tuning.base.tunings`.

full, head, freeze                       train the model's own weights
lora, adalora, ia3, bitfit, adapter      add small weights (adapters.py is their base)
prompt, p_tuning, prefix                 add virtual tokens (prompt_learning.py is their base)

structure.py    finds embeddings and layers in any architecture
networks/       layers that peft lacks, or that are written differently here
"""

"""Fine-tuning: what trains a model, behind one port. Only functions import torch, trl and transformers."""

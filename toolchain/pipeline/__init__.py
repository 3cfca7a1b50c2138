"""The main job: a trained model in, a measured, packed, gated bundle per profile out."""

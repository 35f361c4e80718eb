"""A library's chunks → what the model learns from, through the prompt code that serves.

`library_items` (pages and pictures in words, for `llava_model.synthesis`); `synthetic_questions` (labels and tables →
questions with answers) → `grounded` (samples that teach nothing but what the evidence shows).
"""

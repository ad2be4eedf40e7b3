"""The tokenizer of the tiny model: byte-level BPE, as Llama 3 has it."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

BEGIN, END = "<|begin_of_text|>", "<|end_of_text|>"
TOPIC_BREAK = "\f\n"
# Plain roles: the corpus has no dialogue, so a richer template would only spend context.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def learn(text: str, vocabulary: int) -> Tokenizer:
    """Learn merges from `text` until `vocabulary` tokens exist; ids 0 and 1 are begin and end of text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.split("\n\n"), trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text, with the end-of-text token after every topic, so that the model learns to stop."""
    end: int = tokenizer.encode(END).ids[0]
    ids: list[int] = []
    for topic in text.split(TOPIC_BREAK):
        ids += [*tokenizer.encode(topic).ids, end]
    return ids[:-1]

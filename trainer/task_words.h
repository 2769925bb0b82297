// Common English words, for tasks that need short texts.
#pragma once

#include <array>

namespace cohort {

inline constexpr std::array kTaskWords = {
    "able", "about", "above", "across", "after", "again", "ago", "air", "all", "along", "also", "always", "animal",
    "answer", "apple", "arm", "around", "ask", "away", "baby", "back", "bad", "bag", "ball", "bank", "base", "bear",
    "beat", "bed", "before", "begin", "below", "best", "big", "bird", "black", "blue", "boat", "body", "bone", "book",
    "born", "both", "box", "boy", "bread", "bring", "brown", "build", "busy", "buy", "cake", "call", "came", "can",
    "car", "care", "carry", "case", "cat", "catch", "chair", "city", "clean", "clear", "close", "cloud", "coat",
    "cold", "color", "come", "cook", "corn", "cost", "count", "cover", "cow", "cross", "cry", "cup", "cut", "dance",
    "dark", "day", "deep", "desk", "dinner", "dish", "doctor", "dog", "door", "down", "draw", "dream", "dress",
    "drink", "drive", "drop", "dry", "duck", "early", "earth", "east", "easy", "eat", "edge", "egg", "eight", "end",
    "enjoy", "enough", "enter", "even", "ever", "every", "eye", "face", "fact", "fall", "family", "far", "farm",
    "fast", "father", "feel", "few", "field", "fill", "find", "fine", "fire", "first", "fish", "five", "floor",
    "flower", "fly", "food", "foot", "forest", "form", "four", "free", "fresh", "friend", "from", "front", "fruit",
    "full", "game", "garden", "gate", "girl", "give", "glad", "glass", "goat", "gold", "good", "grass", "gray",
    "great", "green", "ground", "grow", "half", "hand", "happy", "hard", "hat", "have", "head", "hear", "heart",
    "heavy", "help", "here", "high", "hill", "hold", "home", "hope", "horse", "hot", "hour", "house", "how", "ice",
    "idea", "iron", "island", "job", "join", "jump", "keep", "key", "kind", "king", "kitchen", "knife", "lake",
    "lamp", "land", "large", "last", "late", "laugh", "lead", "leaf", "learn", "left", "leg", "letter", "life",
    "light", "line", "lion", "list", "little", "live", "long", "look", "lost", "loud", "love", "low", "lunch", "make",
    "man", "many", "map", "market", "mark", "meat", "meet", "milk", "mind", "money", "moon", "more", "mother",
    "mouth", "move", "much", "music", "name", "near", "neck", "need", "never", "new", "next", "nice", "night", "nine",
    "north", "nose", "note", "now", "number", "ocean", "off", "old", "once", "one", "open", "orange", "order",
    "other", "out", "over", "own", "page", "paint", "paper", "part", "past", "path", "pay", "pen", "people", "pick",
    "piece", "pink", "place", "plan", "plant", "play", "point", "pool", "poor", "post", "pull", "push", "queen",
    "quick", "quiet", "rain", "reach", "read", "ready", "red", "rest", "rice", "rich", "ride", "right", "ring",
    "river", "road", "rock", "roof", "room", "root", "rope", "round", "run", "safe", "salt", "same", "sand", "save",
    "school", "sea", "seat", "second", "see", "seed", "sell", "send", "seven", "shape", "share", "sheep", "ship",
    "shirt", "shoe", "shop", "short", "show", "side", "sign", "silver", "sing", "sister", "six", "size", "skin",
    "sky", "sleep", "slow", "small", "smile", "snow", "soft", "soil", "some", "son", "song", "soon", "soup", "south",
    "space", "speak", "spoon", "sport", "spring", "stand", "star", "start", "stay", "step", "stone", "stop", "store",
    "storm", "story", "street", "strong", "sugar", "summer", "sun", "sure", "sweet", "swim", "table", "tail", "take",
    "talk", "tall", "tea", "teach", "tell", "ten", "test", "thank", "thing", "think", "three", "time", "today",
    "together", "top", "touch", "town", "train", "travel", "tree", "true", "try", "turn", "two", "uncle", "under",
    "until", "use", "very", "village", "visit", "voice", "wait", "walk", "wall", "want", "warm", "wash", "watch",
    "water", "wave", "way", "wear", "week", "well", "west", "wheel", "white", "wide", "wild", "wind", "window",
    "wing", "winter", "wish", "woman", "wood", "word", "work", "world", "write", "year", "yellow", "young", "zero",
};

}  // namespace cohort

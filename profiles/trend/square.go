package trend

// Square is x times x.
func Square(x float64) float64 { return x * x }
